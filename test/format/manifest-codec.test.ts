import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CorruptionError } from "../../src/core/errors.ts";
import { CLOCK_MAX } from "../../src/core/version.ts";
import {
  decodeManifest,
  encodeManifest,
  type ArchiveInfo,
  type Manifest,
} from "../../src/format/manifest-codec.ts";
import { NO_LISTED } from "../../src/format/archive-list.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import { sealLine } from "../../src/format/json-line.ts";
import { EXAMPLE, runOf } from "./manifest-example.ts";
import { flip, SEED } from "../runs/support.ts";
import { propertyRuns } from "../support/effort.ts";

const PATH = "manifest.json";
const clocks = fc.oneof(fc.nat(), fc.constant(CLOCK_MAX));
const names = fc.nat().map((n) => `snapshots/snap-${n}-0123456789abcdef`);

const bound = fc.oneof(
  fc.string({ unit: "binary", maxLength: 3 }),
  fc.constantFrom("\ud800", "\udfff", "\u0000", "__proto__"),
);
/** Spans that ascend and are apart, the last of them perhaps without an end. */
const excisions = fc
  .tuple(fc.uniqueArray(bound, { minLength: 1, maxLength: 7 }), fc.boolean())
  .map(([bounds, isOpen]) => {
    const sorted = bounds.toSorted();
    if (!isOpen && sorted.length % 2 === 1) sorted.pop();
    return Array.from({ length: Math.ceil(sorted.length / 2) }, (_, at) => ({
      from: sorted[2 * at] ?? "",
      to: sorted[2 * at + 1],
    }));
  })
  .filter((spans) => spans.length > 0);

const runs: fc.Arbitrary<RunInfo> = fc
  .record({
    stem: names,
    level: fc.nat({ max: 9 }),
    since: fc.option(fc.integer({ min: 1 }), { nil: undefined }),
    oldestMs: fc.option(fc.nat(), { nil: undefined }),
    excised: fc.option(excisions, { nil: undefined }),
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
  .map(({ stem, since, oldestMs, excised: spans, ...run }) => ({
    path: `${stem}.jsonl`,
    index: `${stem}.index`,
    ...run,
    ...(since === undefined ? {} : { since }),
    ...(oldestMs === undefined ? {} : { oldestMs }),
    ...(spans === undefined ? {} : { excised: spans }),
  }));

const catalogues = fc
  .record(
    {
      path: fc.constant("snapshots/snap-3-9f86d081884c7d65.catalogue"),
      level: fc.nat(),
      crc: fc.constantFrom("00000000", "1c867196"),
      runs: fc.integer({ min: 1 }),
      bytes: fc.integer({ min: 1 }),
      visibleBytes: fc.nat(),
      records: fc.integer({ min: 1 }),
      tombstones: fc.nat(),
      from: fc.string(),
      minSchema: fc.integer({ min: 1 }),
      oldestMs: fc.nat(),
    },
    {
      requiredKeys: [
        "path",
        "level",
        "crc",
        "runs",
        "bytes",
        "visibleBytes",
        "records",
        "tombstones",
        "from",
        "minSchema",
      ],
    },
  )
  .map((catalogue) => ({ ...catalogue, to: `${catalogue.from}x` }));

const archivePaths = fc.constantFrom(
  "archive/archive-1-0-ab.jsonl",
  "archive/archive-2026-Q1.json",
);

const listedArchives = fc.oneof(
  fc.constant(NO_LISTED),
  fc.record({
    lists: fc.array(
      fc.record({
        path: fc.constant("snapshots/snap-3-9f86d081884c7d65.archives"),
        crc: fc.constantFrom("00000000", "1c867196"),
        count: fc.integer({ min: 1 }),
        records: fc.nat(),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    periods: fc.array(fc.string(), { maxLength: 3 }),
  }),
);

const manifests: fc.Arbitrary<Manifest> = fc
  .record({
    generation: fc.integer({ min: 1 }),
    nonce: fc.string(),
    lineage: fc.array(fc.string(), { maxLength: 16 }),
    clock: clocks,
    runs: fc.array(runs, { maxLength: 3 }),
    catalogues: fc.array(catalogues, { maxLength: 3 }),
    draining: fc
      .uniqueArray(fc.nat({ max: 9 }), { maxLength: 3 })
      .map((all) => all.toSorted((a, b) => a - b)),
    purgeFloor: clocks,
    segmentGraceMs: fc.nat(),
    tombstoneGraceMs: fc.oneof(fc.nat(), fc.constant(86_400_000)),
    guarded: fc.option(
      fc.record({
        lanes: fc
          .array(fc.nat(10 ** 12 - 1), { maxLength: 256 })
          .map((all) => all.slice(0, all.findLastIndex((n) => n > 0) + 1)),
        guardGraceMs: fc.nat(),
        sealed: fc.nat(),
      }),
      { nil: undefined },
    ),
    collected: fc.nat(),
    uncollected: fc.boolean(),
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
    listedArchives,
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
  .map(({ guarded, ...manifest }) => {
    const generations = manifest.generation + 1;
    const { lanes, guardGraceMs = 0, sealed = 0 } = guarded ?? { lanes: undefined };
    const lastPurge = manifest.lastPurge % generations;
    return { ...manifest, lastPurge, lanes, guardGraceMs, sealed: sealed % generations };
  });

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
  ["a level below zero", { draining: [-1] }],
  ["a run of a level with a fraction", { runs: [{ ...runOf(EXAMPLE), level: 0.5 }] }],
  ["a run since no generation", { runs: [{ ...runOf(EXAMPLE), since: 0 }] }],
  ["an empty span", { runs: [{ ...runOf(EXAMPLE), excised: [{ from: "b", to: "b" }] }] }],
  [
    "spans that touch",
    {
      runs: [
        {
          ...runOf(EXAMPLE),
          excised: [
            { from: "a", to: "b" },
            { from: "b", to: "c" },
          ],
        },
      ],
    },
  ],
])("%s is not written: nobody could read it", (_, change) => {
  expect(() => encodeManifest({ ...EXAMPLE, ...change })).toThrow(
    /^manifest.json: what was about to be written cannot be read/,
  );
});

describe("what this code never writes is refused although its checksum holds", () => {
  const run = { ...runOf(EXAMPLE), excised: undefined };
  const stored = { ...run, partitions: [["", 1, 2, 3]] };
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
    ["a run outside snapshots/", { runs: [{ ...stored, path: "../x.jsonl" }] }],
    ["a run without partitions", { runs: [{ ...run, partitions: [] }] }],
    ["a partition that is none", { runs: [{ ...run, partitions: [{}] }] }],
    ["a level below zero", { runs: [{ ...stored, level: -1 }] }],
    ["a level that is no number", { runs: [{ ...stored, level: "0" }] }],
    ["a run since generation 0", { runs: [{ ...stored, since: 0 }] }],
    ["a run since no number", { runs: [{ ...stored, since: null }] }],
    ["excised spans that are none", { runs: [{ ...stored, excised: {} }] }],
    ["an excised span that is none", { runs: [{ ...stored, excised: [null] }] }],
    ["an excised span without its end", { runs: [{ ...stored, excised: [["a"]] }] }],
    ["an excised span of numbers", { runs: [{ ...stored, excised: [[1, 2]] }] }],
    ["an empty excised span", { runs: [{ ...stored, excised: [["a", "a"]] }] }],
    ["an excised span that descends", { runs: [{ ...stored, excised: [["b", "a"]] }] }],
    [
      "excised spans that touch",
      {
        runs: [
          {
            ...stored,
            excised: [
              ["a", "b"],
              ["b", "c"],
            ],
          },
        ],
      },
    ],
    [
      "excised spans that overlap",
      {
        runs: [
          {
            ...stored,
            excised: [
              ["a", "c"],
              ["b", "d"],
            ],
          },
        ],
      },
    ],
    [
      "excised spans that descend",
      {
        runs: [
          {
            ...stored,
            excised: [
              ["c", "d"],
              ["a", "b"],
            ],
          },
        ],
      },
    ],
    [
      "an excised span behind one without end",
      {
        runs: [
          {
            ...stored,
            excised: [
              ["a", null],
              ["b", "c"],
            ],
          },
        ],
      },
    ],
    ["no excised spans", { runs: [{ ...stored, excised: [] }] }],
    ["draining levels that are none", { draining: { 0: 1 } }],
    ["a draining level that is none", { draining: ["0"] }],
    ["a draining level below zero", { draining: [-1] }],
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
