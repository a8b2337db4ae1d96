/** Which runs go to catalogues, and that a publication leaves those alone that it does not change. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DEFAULT_CATALOGUE_LIMITS, foldRuns, type Folded } from "../../src/compaction/fold.ts";
import type { Catalogue } from "../../src/format/catalogue.ts";
import { allRuns } from "../../src/format/levels.ts";
import { EMPTY_MANIFEST, encodeManifest } from "../../src/format/manifest-codec.ts";
import { encodeCatalogue } from "../../src/format/catalogue.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import { summarizeRuns } from "../../src/runs/catalogue-summary.ts";
import { excise } from "../../src/runs/visible.ts";
import { Prng } from "../simulation/prng.ts";
import { propertyRuns } from "../support/effort.ts";

const SEED = 20261130;
let made = 0;

function idOf(n: number): string {
  return `order-${String(n).padStart(12, "0")}`;
}

/** As runs of 64 MiB of records of a kilobyte are. */
function run(level: number, from: number, to: number): RunInfo {
  const rand = (++made).toString(16).padStart(16, "0");
  const stem = `snapshots/snap-12345-${rand}`;
  const share = (part: number): number => Math.floor(from + ((to - from) * part) / 4);
  return {
    path: `${stem}.jsonl`,
    index: `${stem}.index`,
    bytes: 17_123_456,
    rawBytes: 67_108_864,
    records: 65_536,
    tombstones: 12,
    minId: idOf(from),
    maxId: idOf(to - 1),
    minSchema: 1,
    sha256: rand.repeat(4),
    partitions: [0, 1, 2, 3].map((part) => ({
      separator: part === 0 ? "" : idOf(share(part)),
      offset: 76 + part * 43_210,
      length: 43_209,
      dataOffset: 35 + part * 4_280_000,
      crc: "1c867196",
    })),
    level,
    since: 12_345,
    oldestMs: 1_795_000_000_000,
  };
}

function levelOf(number: number, runs: number): RunInfo[] {
  return Array.from({ length: runs }, (_, at) => run(number, at * 65_536, (at + 1) * 65_536));
}

function fold(
  runs: readonly RunInfo[],
  before: readonly Catalogue[] = [],
  limits = DEFAULT_CATALOGUE_LIMITS,
): Folded {
  const newPath = (): string =>
    `snapshots/snap-12345-${(++made).toString(16).padStart(16, "0")}.catalogue`;
  return foldRuns(runs, { limits, before, newPath });
}

function names(runs: readonly RunInfo[]): string[] {
  return runs.map(({ path }) => path).toSorted();
}

test("few runs are described in the manifest itself", () => {
  const runs = [...levelOf(1, 30), ...levelOf(0, 5)];
  expect(fold(runs)).toEqual({ runs, catalogues: [] });
});

test("the oldest level goes first, and a level is never in both", () => {
  const runs = [...levelOf(2, 300), ...levelOf(1, 10), ...levelOf(0, 2)];
  const { runs: inline, catalogues } = fold(runs);
  expect(names(inline)).toEqual(names(runs.slice(300)));
  expect(new Set(catalogues.map((catalogue) => catalogue.level))).toEqual(new Set([2]));
  for (const { path, content = [] } of catalogues) {
    const { length } = encodeCatalogue(content, path).body;
    expect(length).toBeLessThan(1.1 * DEFAULT_CATALOGUE_LIMITS.catalogueBytesMax);
    expect(length).toBeGreaterThan(DEFAULT_CATALOGUE_LIMITS.catalogueBytesMax / 2);
  }
});

test("a catalogue stays while its runs do, with another number of its level", () => {
  const runs = levelOf(1, 300);
  const first = fold(runs);
  const [some] = first.catalogues;
  expect(fold(runs, first.catalogues).catalogues).toEqual(first.catalogues);
  const later = runs.map((each) => ({ ...each, level: 4 }));
  const renumbered = fold(later, first.catalogues);
  expect(renumbered.catalogues[0]).toEqual({ ...some, level: 4 });
  expect(allRuns(renumbered)).toEqual(later);
});

test.each([
  ["is excised in part", (each: RunInfo) => excise(each, { from: each.minId, to: each.maxId })],
  [
    "loses its date",
    (each: RunInfo) =>
      Object.fromEntries(
        Object.entries(each).filter(([name]) => name !== "oldestMs"),
      ) as unknown as RunInfo,
  ],
])("a catalogue of which a run %s is replaced, and no other", (_what, change) => {
  const runs = levelOf(0, 300);
  const before = fold(runs);
  const changed = runs.with(150, change(runs[150] ?? run(0, 0, 1)));
  const { catalogues } = fold(changed, before.catalogues);
  const kept = new Set(before.catalogues.map(({ path }) => path));
  const fresh = catalogues.filter(({ path }) => !kept.has(path));
  expect(fresh).toHaveLength(1);
  expect(catalogues).toHaveLength(before.catalogues.length);
  expect(names(allRuns({ runs: [], catalogues }))).toEqual(names(runs));
});

test("whatever changes, catalogues describe all runs, few are new, and none are small for long", () => {
  const catalogueBytesMax = 6_000;
  const limits = { inlineBytesMax: 3_000, catalogueBytesMax };
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const prng = new Prng(`fold ${seed}`);
      let runs = levelOf(0, 60);
      let before = fold(runs, [], limits).catalogues;
      for (let round = 0; round < 12; round++) {
        const at = prng.below(runs.length);
        const gone = prng.between(0, Math.min(6, runs.length - at));
        const [first, last] = [runs[at], runs[at + gone]];
        const from = Number(first?.minId.slice(6) ?? 0);
        const to = Number(last?.minId.slice(6) ?? from + 65_536);
        const fewer = prng.between(gone === 0 ? 0 : 1, 6);
        const width = Math.max(1, Math.floor((to - from) / Math.max(1, fewer)));
        const fresh = Array.from({ length: fewer }, (_, n) =>
          run(0, from + n * width, from + (n + 1) * width),
        );
        runs = gone === 0 ? runs : [...runs.slice(0, at), ...fresh, ...runs.slice(at + gone)];
        const folded = fold(runs, before, limits);
        expect(names(allRuns(folded))).toEqual(names(runs));
        const known = new Set(before.map(({ path }) => path));
        const written = folded.catalogues.filter(({ path }) => !known.has(path));
        expect(written.length).toBeLessThanOrEqual(5);
        for (const { path, content = [], ...summary } of folded.catalogues) {
          expect(summary).toMatchObject(summarizeRuns(content));
          expect(encodeCatalogue(content, path).body.length).toBeLessThan(1.3 * catalogueBytesMax);
        }
        const small = folded.catalogues.filter(({ runs: count }) => count < 3);
        expect(small.length).toBeLessThanOrEqual(1);
        before = folded.catalogues;
      }
    }),
    { seed: SEED, numRuns: propertyRuns(30) },
  );
});

describe("with runs of 64 MiB of records of a kilobyte, after many units", () => {
  /** Replaces spans of neighbours, as units do. */
  function aged(count: number, rounds: number): Folded {
    const prng = new Prng(`aged ${count}`);
    let runs = levelOf(1, count);
    let folded = fold(runs);
    for (let round = 0; round < rounds; round++) {
      const at = prng.below(runs.length - 5);
      const gone = runs.slice(at, at + 4);
      const fresh = gone.map(({ minId, maxId }) =>
        run(1, Number(minId.slice(6)), Number(maxId.slice(6)) + 1),
      );
      runs = runs.toSpliced(at, 4, ...fresh);
      folded = fold([...runs, ...levelOf(0, 3)], folded.catalogues);
    }
    return folded;
  }

  /** What a cold read of one record takes beside its part of an index and its block. */
  function bytesOf(folded: Folded): number {
    const manifest = encodeManifest({
      ...EMPTY_MANIFEST,
      generation: 12_346,
      nonce: "0".repeat(16),
      ...folded,
    });
    const sizes = folded.catalogues.map(
      ({ content = [], path }) => encodeCatalogue(content, path).body.length,
    );
    return manifest.length + Math.max(0, ...sizes);
  }

  test.each([
    ["10 million", 160, 300, 55_000],
    ["1,000 million", 16_000, 40, 170_000],
  ])(
    "a cold reader of %s records reads few bytes of descriptions",
    (_records, count, rounds, bytesMax) => {
      expect(bytesOf(aged(count, rounds))).toBeLessThan(bytesMax);
    },
  );
});
