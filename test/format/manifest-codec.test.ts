import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CorruptionError, FormatVersionError } from "../../src/core/errors.ts";
import { CLOCK_MAX } from "../../src/core/version.ts";
import {
  decodeManifest,
  EMPTY_MANIFEST,
  encodeManifest,
  type ArchiveInfo,
  type Manifest,
} from "../../src/format/manifest-codec.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import { sealLine } from "../../src/format/json-line.ts";
import { flip, SEED } from "../runs/support.ts";
import { propertyRuns } from "../support/effort.ts";

const PATH = "manifest.json";
const clocks = fc.oneof(fc.nat(), fc.constant(CLOCK_MAX));
const names = fc.nat().map((n) => `snapshots/snap-${n}-0123456789abcdef`);

const runs: fc.Arbitrary<RunInfo> = fc
  .record({
    stem: names,
    bytes: fc.integer({ min: 1 }),
    records: fc.integer({ min: 1 }),
    tombstones: fc.nat(),
    minId: fc.string({ unit: "binary" }),
    maxId: fc.constantFrom("z", "\ud800", "__proto__"),
    minSchema: fc.integer({ min: 1 }),
    sha256: fc.constantFrom("0".repeat(64), "f".repeat(64)),
    partitions: fc.array(
      fc.record(
        {
          separator: fc.oneof(
            fc.string({ unit: "binary" }),
            fc.constant("\udfff"),
            fc.string({ maxLength: 2 }).map((end) => `${"long".repeat(2_500)}${end}`),
          ),
          offset: fc.nat(),
          length: fc.integer({ min: 1 }),
          dataOffset: fc.nat(),
          crc: fc.constantFrom("00000000", "1c867196"),
        },
        { requiredKeys: ["separator", "offset", "length", "dataOffset"] },
      ),
      { minLength: 1, maxLength: 3 },
    ),
  })
  .map(({ stem, ...run }) => ({ path: `${stem}.jsonl`, index: `${stem}.index`, ...run }));

const archivePaths = fc.constantFrom(
  "archive/archive-1-0-ab.jsonl",
  "archive/archive-2026-Q1.json",
);

const manifests: fc.Arbitrary<Manifest> = fc
  .record({
    generation: fc.integer({ min: 1 }),
    nonce: fc.string(),
    lineage: fc.array(fc.string(), { maxLength: 16 }),
    clock: clocks,
    runs: fc.array(runs, { maxLength: 3 }),
    purgeFloor: clocks,
    segmentGraceMs: fc.nat(),
    tombstoneGraceMs: fc.oneof(fc.nat(), fc.constant(86_400_000)),
    lastPurge: fc.nat(),
    history: fc.array(fc.record({ generation: fc.nat(), clock: clocks, at: fc.nat() })),
    retired: fc.array(
      fc.oneof(
        fc.record({ path: names }),
        fc.record({ path: names, at: fc.nat() }),
        fc.record({ path: names, list: fc.constant(true as const) }),
        fc.record({
          path: names,
          list: fc.constant(true as const),
          segments: fc.record({
            count: fc.integer({ min: 1 }),
            hi: fc.integer({ min: 1 }),
            digest: fc.constantFrom("0123456789abcdef", "f".repeat(16)),
          }),
        }),
      ),
    ),
    archive: fc.array(
      fc.oneof(
        fc.record({ period: fc.string(), path: archivePaths, records: fc.nat() }),
        fc.record({
          period: fc.string(),
          path: archivePaths,
          records: fc.nat(),
          sha256: fc.constant("ab".repeat(32)),
        }),
      ),
    ),
    schema: fc.nat(),
    conditions: fc.array(
      fc.record({ endpoint: fc.string(), bucket: fc.string(), client: fc.string() }),
      { maxLength: 3 },
    ),
    stats: fc.option(
      fc.record({
        activeRecords: fc.nat(),
        archivedRecords: fc.nat(),
        created: fc.string(),
        lastCheckpoint: fc.string(),
      }),
      { nil: undefined },
    ),
  })
  .map((manifest) => ({ ...manifest, lastPurge: manifest.lastPurge % (manifest.generation + 1) }));

const EXAMPLE: Manifest = {
  ...EMPTY_MANIFEST,
  generation: 3,
  nonce: "ab",
  lineage: ["cd"],
  clock: 7,
  runs: [
    {
      path: "snapshots/snap-2-0123456789abcdef.jsonl",
      index: "snapshots/snap-2-0123456789abcdef.index",
      bytes: 10,
      records: 2,
      tombstones: 1,
      minId: "a",
      maxId: "é\ud800",
      minSchema: 1,
      sha256: "0".repeat(64),
      partitions: [{ separator: "", offset: 1, length: 2, dataOffset: 3 }],
    },
  ],
  history: [{ generation: 2, clock: 5, at: 1_000 }],
  retired: [{ path: "snapshots/x" }, { path: "snapshots/y", list: true, at: 5 }],
  archive: [{ period: "2026-Q1", path: "archive/archive-2026_Q1-1-ab.jsonl", records: 2 }],
  stats: { activeRecords: 1, archivedRecords: 2, created: "2026", lastCheckpoint: "2027" },
};

test("a manifest is read back as it was", () => {
  fc.assert(
    fc.property(manifests, (manifest) => {
      expect(decodeManifest(encodeManifest(manifest), PATH)).toEqual(manifest);
    }),
    { seed: SEED, numRuns: propertyRuns(300) },
  );
});

test.each([1, 2, 8, 0x20, 0x80, 0xff])("any byte xor %i is detected", (mask) => {
  const bytes = encodeManifest(EXAMPLE);
  for (let at = 0; at < bytes.length; at++) {
    let error: unknown;
    try {
      decodeManifest(flip(bytes, at, mask), PATH);
    } catch (thrown) {
      error = thrown;
    }
    expect(error, `byte ${at}`).toMatchObject({ action: "stop", path: PATH });
  }
});

test("any cut and any addition is detected", () => {
  const bytes = encodeManifest(EXAMPLE);
  for (let length = 0; length < bytes.length; length++) {
    expect(() => decodeManifest(bytes.subarray(0, length), PATH)).toThrow(CorruptionError);
  }
  for (const more of ["\n", " ", "{}\n", "\0"]) {
    const longer = Buffer.concat([bytes, Buffer.from(more)]);
    expect(() => decodeManifest(longer, PATH)).toThrow(CorruptionError);
  }
});

test("a manifest that promises no tombstone grace was written under the default one", () => {
  const promising = { ...EXAMPLE, tombstoneGraceMs: 86_400_000 };
  const bytes = encodeManifest(promising);
  expect(String(bytes)).not.toContain("tombstoneGraceMs");
  expect(decodeManifest(bytes, PATH)).toEqual(promising);
});

test.each([
  ["a grace above 2^53-1", { segmentGraceMs: 1e16 }],
  ["a grace that is no number", { tombstoneGraceMs: Infinity }],
  ["a date with a fraction", { history: [{ generation: 2, clock: 5, at: 1_000.5 }] }],
  ["a date that is none", { retired: [{ path: "snapshots/x", at: Number.NaN }] }],
  ["a clock that is used up", { clock: CLOCK_MAX * 2 }],
  ["a schema above 2^53-1", { schema: 2 ** 53 }],
  ["a count below zero", { archive: [{ ...EXAMPLE.archive[0], records: -1 } as ArchiveInfo] }],
  ["the generation of no manifest", { generation: 0 }],
])("%s is not written: nobody could read it", (_, change) => {
  expect(() => encodeManifest({ ...EXAMPLE, ...change })).toThrow(
    /^manifest.json: what was about to be written cannot be read/,
  );
});

describe("what this code never writes is refused although its checksum holds", () => {
  const [run] = EXAMPLE.runs;
  const decode = (change: object): unknown => {
    const { crc: _, ...object }: Record<string, unknown> = JSON.parse(
      String(encodeManifest(EXAMPLE)),
    );
    return decodeManifest(
      Buffer.from(`${sealLine(JSON.stringify({ ...object, ...change }))}\n`),
      PATH,
    );
  };

  test("a proper one is accepted, fields of its own included", () => {
    expect(decode({ hint: "of a later minor version" })).toEqual(EXAMPLE);
  });

  test.each([
    ["kind", { kind: "run" }],
    ["format", { format: "1" }],
    ["generation 0", { generation: 0 }],
    ["lastPurge above the generation", { lastPurge: 4 }],
    ["clock", { clock: CLOCK_MAX * 2 }],
    ["a negative floor", { purgeFloor: -1 }],
    ["nonce", { nonce: 1 }],
    ["lineage", { lineage: [1] }],
    ["runs", { runs: {} }],
    ["a run that is none", { runs: [null] }],
    [
      "a run outside snapshots/",
      { runs: [{ ...run, path: "../x.jsonl", partitions: [["", 1, 2, 3]] }] },
    ],
    ["a run without partitions", { runs: [{ ...run, partitions: [] }] }],
    ["a partition that is none", { runs: [{ ...run, partitions: [{}] }] }],
    ["a negative grace", { tombstoneGraceMs: -1 }],
    ["a grace above 2^53-1", { segmentGraceMs: 1e16 }],
    ["history", { history: [{ generation: 1, clock: 1 }] }],
    ["retired", { retired: [{ at: 1 }] }],
    ["schema", { schema: "1" }],
    ["stats", { stats: { created: 1 } }],
  ])("%s", (_, change) => {
    expect(() => decode(change)).toThrow(CorruptionError);
    expect(() => decode(change)).toThrow("manifest.json at byte 0");
  });
});

test("a newer format is distinguished from damage", () => {
  const decode = (text: string): unknown => decodeManifest(Buffer.from(text), PATH);
  const newer = '{"format":9,"kind":"manifest"}\n';
  expect(() => decode(newer)).toThrow(FormatVersionError);
  expect(() => decode(newer)).toThrow("has format 9");
  for (const text of ["", "{}", "null", "[]", "hello", '{"format":1}']) {
    expect(() => decode(text)).toThrow(CorruptionError);
  }
});
