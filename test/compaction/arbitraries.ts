/** Manifests and log units for the tests of the pure parts of compaction. */
import fc from "fast-check";
import { EMPTY_MANIFEST, type Manifest } from "../../src/format/manifest-codec.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import type { LogUnit } from "../../src/log/log.ts";

export const SEED = 20_261_122;

export function run(n: number, bytes: number, tombstones = 0, records = 10): RunInfo {
  const stem = `snapshots/snap-${n}-0123456789abcdef`;
  return {
    path: `${stem}.jsonl`,
    index: `${stem}.index`,
    bytes,
    records,
    tombstones,
    minId: "a",
    maxId: "z",
    minSchema: 1,
    sha256: "0".repeat(64),
    partitions: [{ separator: "", offset: 0, length: 1, dataOffset: 0 }],
    level: 0,
  };
}

/** Each run as a level of its own, the oldest first: as manifests of format 1 are read. */
export function asLevels(runs: readonly RunInfo[]): RunInfo[] {
  return runs.map((each, at) => ({ ...each, level: runs.length - 1 - at }));
}

export function unit(n: number, bytes: number, corrupt = false): LogUnit {
  const path = `ops/${n}`;
  const ref = { key: path, path, range: undefined, lo: 1, hi: 1, filter: "any" as const, bytes };
  return { paths: [path], segments: bytes === 0 ? [] : [ref], corrupt };
}

export const units: fc.Arbitrary<LogUnit[]> = fc
  .array(fc.record({ bytes: fc.nat({ max: 50 }), corrupt: fc.boolean() }), { maxLength: 12 })
  .map((all) => all.map(({ bytes, corrupt }, n) => unit(n, bytes, corrupt && bytes % 3 === 0)));

export const runsOf: fc.Arbitrary<RunInfo[]> = fc
  .array(fc.record({ bytes: fc.integer({ min: 1, max: 200 }), tombstones: fc.nat({ max: 10 }) }), {
    maxLength: 12,
  })
  .map((all) => asLevels(all.map(({ bytes, tombstones }, n) => run(n, bytes, tombstones))));

/** Manifests as publications make them: history ascends, in time and in clock. */
export const manifests: fc.Arbitrary<Manifest> = fc
  .record({
    generation: fc.integer({ min: 0, max: 50 }),
    lineage: fc.integer({ min: 0, max: 16 }),
    clock: fc.nat({ max: 1_000 }),
    runs: runsOf,
    floorShare: fc.double({ min: 0, max: 1, noNaN: true }),
    history: fc.array(fc.record({ after: fc.nat({ max: 500 }), clocks: fc.nat({ max: 20 }) }), {
      maxLength: 30,
    }),
    retired: fc.array(fc.option(fc.nat({ max: 9_000 }), { nil: undefined }), { maxLength: 6 }),
    schema: fc.nat({ max: 3 }),
  })
  .map(({ generation, lineage, clock, runs, floorShare, history, retired, schema }) => {
    if (generation === 0) return EMPTY_MANIFEST;
    let [at, included] = [0, 0];
    const entries = history.map(({ after, clocks }, n) => {
      at += after;
      included = Math.min(clock, included + clocks);
      return { generation: n + 1, clock: included, at };
    });
    return {
      ...EMPTY_MANIFEST,
      generation,
      nonce: `nonce ${generation}`,
      lineage: Array.from({ length: lineage }, (_, n) => `older ${n}`),
      clock,
      runs,
      purgeFloor: Math.floor(included * floorShare),
      history: entries,
      retired: retired.map((when, n) => ({
        path: `snapshots/retired-${n}`,
        ...(when === undefined ? {} : { at: when }),
      })),
      schema,
    };
  });
