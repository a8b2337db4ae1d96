/** What a step has merged, published over a newer manifest than it began on, or given up. */
import { expect, test } from "vitest";
import { type Edit, levelsAfter } from "../../src/compaction/edit.ts";
import { flatLevels, type Level, levelsOf } from "../../src/format/levels.ts";
import { EMPTY_MANIFEST, type Manifest } from "../../src/format/manifest-codec.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import { run, unit } from "./arbitraries.ts";

const level = (...runs: RunInfo[]): Level => ({ runs, isDraining: false });
const of = (n: number, minId: string, maxId: string): RunInfo => ({ ...run(n, 100), minId, maxId });

function manifest(
  generation: number,
  levels: readonly Level[],
  others: Partial<Manifest> = {},
): Manifest {
  return {
    ...EMPTY_MANIFEST,
    generation,
    nonce: `${generation}`,
    ...flatLevels(levels),
    ...others,
  };
}

const [NEW, OLD, OLDEST] = [of(1, "a", "z"), of(2, "a", "m"), of(3, "n", "z")];
const LEVELS = [level(NEW), level(OLD, OLDEST)];
const BASE = manifest(7, LEVELS, { purgeFloor: 10, collected: 5 });
const MADE = of(9, "a", "f");

/** A unit of both levels that has merged a..f. */
function unitOf(base: Manifest = BASE, others: Partial<Edit> = {}): Edit {
  const levels = levelsOf(base);
  return {
    base,
    plan: {
      units: [],
      levels,
      taken: [0, 1],
      from: "a",
      to: undefined,
      isWhole: false,
      into: 1,
      draining: [0],
    },
    made: [MADE],
    span: { from: "a", to: "g" },
    purgeFloor: undefined,
    deletesLog: false,
    ...others,
  };
}

/** A portion of the log, as a new level. */
function logOf(base: Manifest = BASE, others: Partial<Edit> = {}): Edit {
  const plan = { ...unitOf(base).plan, units: [unit(1, 10)], taken: [], into: -1, draining: [] };
  return { ...unitOf(base), plan, span: { from: "", to: undefined }, ...others };
}

function shownBy(levels: readonly Level[] | undefined): string[][] | undefined {
  return levels?.map(({ runs }) => runs.map(({ path }) => path.split("-")[1] ?? ""));
}

test("over its own base, the span is taken over and the new runs lie in their level", () => {
  const levels = levelsAfter(unitOf(), BASE);
  expect(shownBy(levels)).toEqual([["1"], ["2", "3", "9"]]);
  expect(levels?.[0]?.isDraining).toBe(true);
  const excised = levels?.flatMap(({ runs }) => runs).map(({ excised: spans }) => spans);
  expect(excised).toEqual([
    [{ from: "a", to: "g" }],
    [{ from: "a", to: "g" }],
    undefined,
    undefined,
  ]);
});

test("levels that came on top meanwhile stay, and what comes of log comes above them", () => {
  const current = manifest(8, [level(of(20, "a", "b")), ...LEVELS], { purgeFloor: 10 });
  expect(shownBy(levelsAfter(unitOf(), current))).toEqual([["20"], ["1"], ["2", "3", "9"]]);
  expect(shownBy(levelsAfter(logOf(), current))).toEqual([["9"], ["20"], ["1"], ["2", "3"]]);
});

test("what was made on a base that is collected by now is given up", () => {
  const collected = (generation: number): Manifest =>
    manifest(9, LEVELS, { purgeFloor: 10, collected: generation });
  expect(levelsAfter(unitOf(), collected(7))).toBeDefined();
  expect(levelsAfter(unitOf(), collected(8))).toBeUndefined();
  expect(levelsAfter(logOf(), collected(8))).toBeUndefined();
});

test("log that was merged under a lower floor is given up, a unit is not", () => {
  const current = manifest(8, LEVELS, { purgeFloor: 11 });
  expect(levelsAfter(logOf(BASE, { lo: 11 }), current)).toBeUndefined();
  expect(levelsAfter(logOf(BASE, { lo: 12 }), current), "all of it is above").toBeDefined();
  expect(levelsAfter(unitOf(), current)).toBeDefined();
});

test("a floor does not rise over runs that its step has not merged, or under a longer grace", () => {
  const raising = unitOf(BASE, { purgeFloor: 12 });
  expect(levelsAfter(raising, manifest(8, LEVELS, { purgeFloor: 10 }))).toBeDefined();
  const more = manifest(8, [level(of(20, "x", "z")), ...LEVELS], { purgeFloor: 10 });
  expect(levelsAfter(raising, more)).toBeUndefined();
  expect(levelsAfter(unitOf(BASE, { purgeFloor: 10 }), more), "it stays as it is").toBeDefined();
  const patient = manifest(8, LEVELS, { purgeFloor: 10, tombstoneGraceMs: 99 });
  expect(levelsAfter(raising, patient)).toBeUndefined();
});

test("a span of which others have taken something over is given up", () => {
  const first = levelsAfter(unitOf(), BASE) ?? [];
  const after = manifest(8, first, { purgeFloor: 10 });
  expect(levelsAfter(unitOf(BASE, { made: [of(10, "a", "f")] }), after)).toBeUndefined();
  // Only from a run of the newer level, into a level of its own.
  const [newest, oldest] = LEVELS;
  const cut = { ...NEW, excised: [{ from: "e", to: "h" }] };
  const partly = manifest(8, [level(of(20, "e", "g")), level(cut), oldest ?? level()], {
    purgeFloor: 10,
  });
  expect(levelsAfter(unitOf(), partly)).toBeUndefined();
  const gone = manifest(8, [newest ?? level()], { purgeFloor: 10 });
  expect(levelsAfter(unitOf(), gone), "the level is gone").toBeUndefined();
});

test("another span of the same levels is published beside it", () => {
  const after = manifest(8, levelsAfter(unitOf(), BASE) ?? [], { purgeFloor: 10 });
  const beside = unitOf(BASE, { made: [of(10, "p", "q")], span: { from: "p", to: "r" } });
  const levels = levelsAfter(beside, after);
  expect(shownBy(levels)).toEqual([["1"], ["2", "9", "3", "10"]]);
  const spans = [
    { from: "a", to: "g" },
    { from: "p", to: "r" },
  ];
  expect(levels?.[0]?.runs[0]?.excised).toEqual(spans);
});

test("two spans of one merge meet in the new level below all", () => {
  const draining = manifest(
    7,
    LEVELS.map(({ runs }) => ({ runs, isDraining: true })),
  );
  const below = (n: number, from: string, to: string): Edit => {
    const plan = { ...unitOf(draining).plan, into: 2, draining: [0, 1] };
    return unitOf(draining, { plan, made: [of(n, from, from)], span: { from, to } });
  };
  const first = manifest(8, levelsAfter(below(9, "a", "g"), draining) ?? []);
  expect(shownBy(levelsAfter(below(10, "p", "r"), first))).toEqual([
    ["1"],
    ["2", "3"],
    ["9", "10"],
  ]);
});

test("what lies in a level already, in the span, is not put there twice", () => {
  const current = manifest(8, [level(NEW), level(OLD, OLDEST, of(20, "b", "c"))], {
    purgeFloor: 10,
  });
  expect(levelsAfter(unitOf(), current)).toBeUndefined();
});

test("log that is deleted at once is given up where a grace was promised since", () => {
  const promised = manifest(8, LEVELS, { purgeFloor: 10, segmentGraceMs: 1 });
  expect(levelsAfter(logOf(BASE, { deletesLog: true }), promised)).toBeUndefined();
  expect(levelsAfter(logOf(), promised)).toBeDefined();
});

test("what was published already, and whose answer was lost, is not published again", () => {
  const after = manifest(8, levelsAfter(logOf(), BASE) ?? [], { purgeFloor: 10 });
  expect(levelsAfter(logOf(), after)).toBeUndefined();
  // Others have merged it since: named once more, it would be collected under its name.
  const retired = [{ path: MADE.path }, { path: MADE.index }];
  const merged = manifest(9, [level(of(30, "a", "z"))], { purgeFloor: 10, retired });
  expect(levelsAfter(logOf(), merged)).toBeUndefined();
  expect(levelsAfter(logOf(), { ...merged, retired: [] })).toBeDefined();
});
