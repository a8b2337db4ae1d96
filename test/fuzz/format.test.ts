/** Every decoder of our own format: a value that is well formed, or an error that says what is wrong. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeArchive, decodeArchive } from "../../src/format/archive-codec.ts";
import { hash } from "node:crypto";
import type { RunEntry } from "../../src/core/version.ts";
import { decodeManifest, EMPTY_MANIFEST, encodeManifest } from "../../src/format/manifest-codec.ts";
import { decodeArchiveList, encodeArchiveList } from "../../src/format/archive-list.ts";
import { checksumOf, sealLine, sealOf } from "../../src/format/json-line.ts";
import {
  packBlock,
  packedLength,
  unpackBlock,
  UNPACKED_BYTES_MAX,
} from "../../src/format/run-block.ts";
import { flatLevels, levelsOf } from "../../src/format/levels.ts";
import { decodeRetiredList, encodeRetiredList } from "../../src/format/retired-list.ts";
import {
  decodeRunHeader,
  decodeRunLines,
  encodeRunHeader,
  encodeRunLine,
  findRunLine,
} from "../../src/format/run-codec.ts";
import {
  BloomBuilder,
  decodeIndexHeader,
  decodePartition,
  decodeSeparator,
  encodeIndexHeader,
  encodePartition,
} from "../../src/format/run-index.ts";
import { decodeClaim, decodeTransaction } from "../../src/format/claim-decoder.ts";
import { decodeSegment, decodeSegments } from "../../src/format/segment-decoder.ts";
import { encodeSegment } from "../support/encode-segment.ts";
import {
  absentAt,
  claimBytes,
  dataClaim,
  guarded,
  idOf,
  transactionBytes,
} from "../support/claims.ts";
import { encodeOperation } from "../../src/format/segment.ts";
import { scanFrames } from "../../src/log/frames.ts";
import { encodeAll, segments } from "../log/support.ts";
import { ids, record, tombstone } from "../runs/support.ts";
import { decoded, fuzz, NESTED, RUNS, SEED } from "./support.ts";

const PLACE = { path: "snapshots/x", offset: 0 };
const PATH = PLACE.path;

const manifests = fc.nat(9).map((n) =>
  encodeManifest({
    ...EMPTY_MANIFEST,
    generation: n + 1,
    nonce: "0123456789abcdef",
    lineage: ["a"],
    clock: n,
    runs: [
      {
        path: "snapshots/snap-0-0123456789abcdef.jsonl",
        index: "snapshots/snap-0-0123456789abcdef.index",
        bytes: 100,
        records: 1,
        tombstones: 0,
        minId: "a",
        maxId: "__proto__",
        minSchema: 1,
        sha256: "0".repeat(64),
        partitions: [{ separator: "", offset: 1, length: 2, dataOffset: 3, crc: "00000000" }],
        level: n % 3,
        since: n + 1,
        excised: [
          { from: "", to: "a" },
          { from: "b", to: undefined },
        ],
      },
    ],
    draining: n % 3 === 0 ? [] : [n % 3],
    history: [{ generation: 1, clock: 1, at: 1 }],
    retired: [{ path: "x", list: true, at: 2 }],
    archive: [{ period: "2026-Q4", path: "archive/a.jsonl", records: 1, sha256: "f".repeat(64) }],
    listedArchives: {
      lists: [{ path: "snapshots/snap-0-a.archives", crc: "00000000", count: 1, records: 2 }],
      periods: ["2026-Q3"],
    },
    stats: { activeRecords: 1, archivedRecords: 1, created: "c", lastCheckpoint: "l" },
  }),
);

test("a list of archives", () => {
  const path = "snapshots/snap-0-0123456789abcdef.archives";
  const list = fc.nat(9).map((n) => {
    const archive = { period: `p${n}`, path: "archive/a.jsonl", records: n, crc: "00000000" };
    return encodeArchiveList([archive, archive], path);
  });
  fuzz(
    list.map(({ body }) => body),
    (bytes) => {
      const crc = sealOf(bytes.toString().trimEnd()) ?? "";
      const named = { path, crc, count: 2, records: 6 };
      const found = decoded(() => decodeArchiveList(bytes, named));
      for (const archive of found ?? []) expect(archive.path).toMatch(/^archive\//);
    },
  );
});

test("a manifest", () => {
  fuzz(manifests, (bytes) => {
    const manifest = decoded(() => decodeManifest(bytes, "manifest.json"));
    if (manifest === undefined) return;
    const { generation, clock, lastPurge, runs } = manifest;
    expect([generation, clock, lastPurge].every(Number.isSafeInteger)).toBe(true);
    expect(generation >= 1 && lastPurge <= generation).toBe(true);
    for (const run of runs) expect(run.path).toMatch(/^snapshots\/[A-Za-z0-9-]+\.(jsonl|index)$/);
    expect(
      flatLevels(levelsOf(manifest))
        .runs.map(({ path }) => path)
        .toSorted(),
    ).toEqual(runs.map(({ path }) => path).toSorted());
    expect(decodeManifest(encodeManifest(manifest), "x")).toEqual(manifest);
  });
});

test("a segment, as an object and as a frame of a file", () => {
  fuzz(
    segments.map((segment) => encodeAll(segment).bytes),
    (bytes) => {
      const segment = decoded(() => decodeSegment(bytes, PLACE));
      const scan = decoded(() => scanFrames(bytes, PLACE));
      expect(scan?.consumedBytes ?? 0).toBeLessThanOrEqual(bytes.length);
      if (segment === undefined) return;
      const { operations } = segment;
      const clocks = operations.map(({ clock }) => clock);
      expect(clocks).toEqual(clocks.toSorted((a, b) => a - b));
      // What cannot be written again is nested too deeply: no writer writes it.
      const lines = decoded(() => operations.map((operation) => encodeNested(operation)));
      if (lines === undefined || lines.includes(undefined)) return;
      const again = encodeSegment(
        segment,
        lines.flatMap((line) => line ?? []),
      );
      expect(decodeSegment(again.bytes, PLACE)).toEqual(segment);
    },
  );
});

function encodeNested(operation: Parameters<typeof encodeOperation>[0]): string | undefined {
  try {
    const text = "data" in operation ? JSON.stringify(operation.data) : undefined;
    return encodeOperation(operation, text);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

test("a claim, and a transaction", () => {
  const place = { lane: 0x3f, n: 12 };
  const [id, other] = [idOf(0x3f), idOf(0x3f, 1)];
  const base = { clock: 3, agent: "a", writerNonce: "0123456789abcdef", revision: 4 };
  const all = [
    guarded(id, base, { n: 1 }),
    guarded(other, absentAt(3), undefined, {}, { agent: "b" }),
  ];
  const recent = { from: 2, ids: new Map([["u6bzuk", 9]]) };
  const intent = { kind: "intent", ...place, nonce: "f".repeat(16), recent } as const;
  const txn = "ops/a/txn-001795356093-a1b2c3d4e5f60718.jsonl";
  const objects = fc.constantFrom(
    claimBytes(dataClaim(place, all, { recent, reads: [idOf(0x3f, 0, "read")] })),
    claimBytes({ ...intent, txn, reads: [id], writes: [other] }),
    claimBytes({ ...intent, kind: "seal" }),
    transactionBytes({ kind: "commit", nonce: intent.nonce, at: [place], operations: all }),
    transactionBytes({ kind: "abort", nonce: intent.nonce }),
  );
  fuzz(objects, (bytes) => {
    const claim = decoded(() => decodeClaim(bytes, PATH, place));
    const transaction = decoded(() => decodeTransaction(bytes, PATH));
    if (claim === undefined && transaction === undefined) return;
    const again = decoded(() =>
      claim === undefined ? transaction && transactionBytes(transaction) : claimBytes(claim),
    );
    if (again === undefined) return;
    expect(
      claim === undefined ? decodeTransaction(again, PATH) : decodeClaim(again, PATH, place),
    ).toEqual(claim ?? transaction);
  });
});

test("several frames, some of them damaged: what is found is what is there", () => {
  const files = fc
    .array(segments, { minLength: 2, maxLength: 4 })
    .map((all) => Buffer.concat(all.map((segment) => encodeAll(segment).bytes)));
  fuzz(files, (bytes) => {
    const scan = decoded(() => scanFrames(bytes, PLACE));
    for (const { range, lo, hi } of scan?.frames ?? []) {
      const { offset = 0, length = 0 } = range ?? {};
      const part = bytes.subarray(offset, offset + length);
      // Counts inside may lie under a checksum that holds; then reading it says so.
      const segment = decoded(() => decodeSegment(part, PLACE));
      if (segment !== undefined) {
        expect([segment.operations[0]?.clock, segment.operations.at(-1)?.clock]).toEqual([lo, hi]);
      }
    }
  });
});

test("an object of several segments: all that lie in it, or none", () => {
  const objects = fc
    .array(segments, { minLength: 2, maxLength: 4 })
    .map((all) => Buffer.concat(all.map((segment) => encodeAll(segment, all.length).bytes)));
  let whole = 0;
  const check = (bytes: Buffer): void => {
    const frames = decoded(() => scanFrames(bytes, PLACE))?.frames ?? [];
    const lo = Math.min(...frames.map((frame) => frame.lo));
    const hi = Math.max(...frames.map((frame) => frame.hi));
    const found = decoded(() => decodeSegments(bytes, { path: PATH, range: undefined, lo, hi }));
    if (found === undefined) return;
    whole++;
    expect(frames.reduce((sum, frame) => sum + frame.bytes, 0)).toBe(bytes.length);
    const alone = frames.map(({ range, ...frame }) => {
      const { offset = 0, length = 0 } = range ?? {};
      return decodeSegments(bytes.subarray(offset, offset + length), { ...frame, range })[0];
    });
    expect(found).toEqual(alone);
  };
  fuzz(objects, check);
  fc.assert(fc.property(objects, check), { seed: SEED, numRuns: 20 });
  expect(whole).toBeGreaterThanOrEqual(20);
});

function lineOf(id: string, n: number): RunEntry {
  if (n % 3 !== 2) return record(id, `{"n":${n}}`);
  return n % 2 === 0 ? tombstone(id) : { ...tombstone(id), since: n };
}

const entries = fc
  .uniqueArray(ids, { minLength: 1, maxLength: 6 })
  .map((all) => all.toSorted((a, b) => (a < b ? -1 : 1)))
  .map((all) => all.map((id, n) => lineOf(id, n)));

test("lines of a run", () => {
  const lines = entries.map((all) =>
    Buffer.from(all.map((entry) => encodeRunLine(entry)).join("")),
  );
  fuzz(lines, (bytes) => {
    const found = decoded(() => decodeRunLines(bytes, PLACE));
    decoded(() => findRunLine(bytes, "k", PLACE));
    if (found === undefined) return;
    expect(found.map((entry) => encodeRunLine(entry)).join("")).toBe(bytes.toString());
  });
});

/** Makes both checksums of a packed block hold, whatever it says now. */
function resealPacked(bytes: Buffer): Buffer {
  const [, open, seal] =
    /^(\{.*"data":")[0-9a-f]{8}"(.*),"crc":"[0-9a-f]{8}"\}$/.exec(
      bytes.toString("latin1").split("\n")[0] ?? "",
    ) ?? [];
  if (open === undefined) return bytes;
  const data = bytes.subarray(bytes.indexOf(10) + 1, -1);
  const line = sealLine(`${open}${checksumOf(data)}"${seal}}`);
  return Buffer.concat([Buffer.from(`${line}\n`, "latin1"), data, Buffer.from("\n")]);
}

test("a packed block, which never expands to more than it says", () => {
  const packed = fc
    .tuple(entries, fc.constantFrom("deflate", "none"), fc.nat(3))
    .map(([all, compression, times]) => {
      const lines = all.map((entry) => encodeRunLine(entry)).join("");
      return packBlock(Buffer.from(lines.repeat(times + 1)), compression);
    });
  for (const reseal of [(bytes: Buffer): Buffer => bytes, resealPacked]) {
    fuzz(packed, (bytes) => {
      const block = reseal(bytes);
      decoded(() => packedLength(block, PLACE));
      const lines = decoded(() => unpackBlock(block, PLACE));
      if (lines === undefined || !lines.isPacked) return;
      expect(lines.bytes.length).toBeLessThanOrEqual(UNPACKED_BYTES_MAX);
      expect(lines.end).toBe(block.length);
      const again = packBlock(lines.bytes, "deflate");
      expect(unpackBlock(again, PLACE).bytes.equals(lines.bytes)).toBe(true);
      decoded(() => decodeRunLines(lines.bytes, PLACE));
    });
  }
});

test("headers of runs and indexes", () => {
  const compressions = ["none", "deflate", "zstd"] as const;
  const header = fc.nat().map((base) => {
    const compression = compressions[base % 4];
    const line = compression && encodeRunHeader({ base, compression });
    return Buffer.from(line ?? encodeIndexHeader("x"));
  });
  fuzz(header, (bytes) => {
    const found = decoded(() => decodeRunHeader(bytes.toString(), PLACE));
    if (found !== undefined) expect(encodeRunHeader(found)).toBe(bytes.toString());
    expect(typeof decoded(() => decodeIndexHeader(bytes.toString(), PLACE))).toMatch(
      /string|undefined/,
    );
  });
});

test("a part of an index and its bloom filter", () => {
  const partitions = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1 }).map((all) => {
    const builder = new BloomBuilder();
    for (const id of all) builder.add(id);
    const blocks = [
      { separator: "", offset: 35, length: 100, crc32: 7 },
      { separator: "m", offset: 135, length: 50, crc32: 9 },
    ];
    return Buffer.from(encodePartition({ blocks, records: all.length, bloom: builder.build() }));
  });
  fuzz(partitions, (bytes) => {
    const partition = decoded(() => decodePartition(bytes, PLACE));
    if (partition === undefined) return;
    expect(partition.blocks.length).toBeGreaterThan(0);
    for (const { offset, length } of partition.blocks) {
      expect(offset >= 0 && length >= 1 && Number.isFinite(offset + length)).toBe(true);
    }
    expect(typeof partition.bloom.mayContain("any")).toBe("boolean");
  });
});

test("a separator", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.string(), (item, before) => {
      const found = decoded(() => decodeSeparator(item, before, PLACE));
      if (found !== undefined) expect(typeof found.separator).toBe("string");
    }),
    { seed: SEED, numRuns: RUNS },
  );
});

test("an archive", () => {
  const archives = entries.map((all) =>
    Buffer.concat([
      ...encodeArchive({
        period: "2026-Q4",
        base: 1,
        entries: all.filter(({ text }) => text !== undefined),
      }),
    ]),
  );
  fuzz(archives, (bytes) => {
    const archive = decoded(() => decodeArchive(bytes, hash("sha256", bytes), PATH));
    decoded(() => decodeArchive(bytes, "0".repeat(64), PATH));
    if (archive !== undefined) {
      expect(Buffer.concat([...encodeArchive(archive)]).equals(bytes)).toBe(true);
    }
  });
});

test("a list of retired objects", () => {
  const lists = fc.array(fc.string({ unit: "binary" }), { maxLength: 5 }).map(encodeRetiredList);
  fuzz(lists, (bytes) => {
    const paths = decoded(() => decodeRetiredList(bytes, PATH));
    if (paths !== undefined)
      expect(decodeRetiredList(encodeRetiredList(paths), PATH)).toEqual(paths);
  });
});

test("a length that claims gigabytes, or JSON nested without end, takes no memory", () => {
  const claims = [2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER];
  for (const bytes of claims) {
    const line = `{"format":1,"kind":"segment","agent":"","w":"0123456789abcdef","v":1,"count":${bytes},"lo":1,"hi":1,"bytes":${bytes},"filter":"0","crc":"00000000"}\nx\n`;
    decoded(() => decodeSegment(Buffer.from(line), PLACE));
    decoded(() => scanFrames(Buffer.from(line), PLACE));
    const list = `{"format":1,"kind":"retired","count":${bytes},"bytes":${bytes},"crc":"00000000"}\n`;
    decoded(() => decodeRetiredList(Buffer.from(list), PATH));
  }
  for (const text of [NESTED, `{"format":${NESTED},"kind":"segment","crc":"00000000"}`]) {
    const bytes = Buffer.from(`${text}\n`);
    decoded(() => decodeManifest(bytes, PATH));
    decoded(() => decodeSegment(bytes, PLACE));
    decoded(() => decodeRetiredList(bytes, PATH));
    decoded(() => decodeRunLines(bytes, PLACE));
    decoded(() => decodePartition(bytes, PLACE));
  }
});
