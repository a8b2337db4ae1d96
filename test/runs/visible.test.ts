/** What of a run counts, against a model that holds every id of a small alphabet. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { IdSpan, RunInfo } from "../../src/format/run-info.ts";
import {
  excise,
  intersection,
  isExcised,
  piecesOf,
  takenOver,
  visibleBytes,
  visibleSpans,
} from "../../src/runs/visible.ts";
import { propertyRuns } from "../support/effort.ts";
import { SEED } from "./support.ts";

const LETTERS = ["", "a", "b", "c", "\ud800", "\uffff"];
/** All ids up to two letters, in order: between any two bounds of one letter there are some. */
const IDS = [...new Set(LETTERS.flatMap((x) => LETTERS.map((y) => `${x}${y}`)))].toSorted();
const ids = fc.constantFrom(...IDS);

/** Spans with something in them. */
const spans: fc.Arbitrary<IdSpan> = fc
  .record({ from: ids, to: fc.option(ids, { nil: undefined, freq: 4 }) })
  .filter(({ from, to }) => to === undefined || from < to);

interface Bounded {
  readonly minId: string;
  readonly maxId: string;
  readonly excised?: readonly IdSpan[];
}

const bounds: fc.Arbitrary<Bounded> = fc
  .tuple(ids, ids)
  .map(([a, b]) => (a < b ? { minId: a, maxId: b } : { minId: b, maxId: a }));

function has({ from, to }: IdSpan, id: string): boolean {
  return from <= id && (to === undefined || id < to);
}

function hasAny(all: readonly IdSpan[], id: string): boolean {
  return all.some((span) => has(span, id));
}

function without<R extends { readonly excised?: readonly IdSpan[] }>(
  run: R,
  taken: readonly IdSpan[],
): R {
  return taken.reduce<R>((left, span) => excise(left, span), run);
}

/** Ids of the run that count: within its bounds, in none of the spans that were taken. */
function visibleIds({ minId, maxId }: Bounded, taken: readonly IdSpan[]): string[] {
  return IDS.filter((id) => id >= minId && id <= maxId && !hasAny(taken, id));
}

const property = (
  check: (run: Bounded, taken: readonly IdSpan[], more: readonly IdSpan[]) => void,
): void =>
  fc.assert(
    fc.property(
      bounds,
      fc.array(spans, { maxLength: 6 }),
      fc.array(spans, { maxLength: 4 }),
      check,
    ),
    { seed: SEED, numRuns: propertyRuns(5_000) },
  );

describe("excised spans", () => {
  test("are those that were taken, ascending and apart", () => {
    property((run, taken) => {
      const { excised = [] } = without(run, taken);
      for (const id of IDS) expect(hasAny(excised, id)).toBe(hasAny(taken, id));
      for (const id of IDS) expect(isExcised({ excised }, id)).toBe(hasAny(taken, id));
      excised.forEach(({ from, to }, at) => {
        if (to !== undefined) expect(from < to).toBe(true);
        const before = excised[at - 1];
        if (before !== undefined) expect((before.to ?? "none") < from).toBe(true);
        if (at < excised.length - 1) expect(to).toBeDefined();
      });
    });
  });

  test("do not depend on the order in which they were taken", () => {
    const permuted = fc
      .array(spans, { minLength: 2, maxLength: 6 })
      .chain((taken) =>
        fc.tuple(
          fc.constant(taken),
          fc.shuffledSubarray(taken, { minLength: taken.length, maxLength: taken.length }),
        ),
      );
    fc.assert(
      fc.property(bounds, permuted, (run, [taken, shuffled]) => {
        expect(without(run, shuffled)).toEqual(without(run, taken));
        expect(without(run, [...taken, ...shuffled])).toEqual(without(run, taken));
      }),
      { seed: SEED, numRuns: propertyRuns(5_000) },
    );
    const three = [
      { from: "a", to: "b" },
      { from: "b", to: "c" },
      { from: "bb", to: undefined },
    ];
    const orders = three.flatMap((x) =>
      three.flatMap((y) => three.map((z) => [x, y, z]).filter((all) => new Set(all).size === 3)),
    );
    expect(orders).toHaveLength(6);
    for (const order of orders) {
      expect(without({}, order)).toEqual({ excised: [{ from: "a", to: undefined }] });
    }
  });

  test("leave the run as it was, which is an object of its own", () => {
    const run = { path: "p", excised: [{ from: "b", to: "c" }] };
    const frozen = structuredClone(run);
    const next = excise(run, { from: "a", to: "b" });
    expect(run).toEqual(frozen);
    expect(next).toEqual({ path: "p", excised: [{ from: "a", to: "c" }] });
  });

  test("that touch become one; with an id between them they are two", () => {
    const none: Pick<RunInfo, "excised"> = {};
    const [a, b] = [
      { from: "a", to: "b" },
      { from: "b", to: "c" },
    ];
    expect(without(none, [b, a]).excised).toEqual([{ from: "a", to: "c" }]);
    const next = { from: "b\0", to: "c" };
    expect(without(none, [next, a]).excised).toEqual([a, next]);
    expect(isExcised({ excised: [a, next] }, "b")).toBe(false);
  });
});

describe("visible spans", () => {
  test("hold the ids of the run that no excised one holds, ascending and apart", () => {
    property((run, taken) => {
      const visible = visibleSpans(without(run, taken));
      const expected = visibleIds(run, taken);
      const found = IDS.filter((id) => id <= run.maxId && hasAny(visible, id));
      expect(found).toEqual(expected);
      visible.forEach(({ from, to }, at) => {
        expect(from >= run.minId && from <= run.maxId).toBe(true);
        if (to !== undefined) expect(from < to).toBe(true);
        const before = visible[at - 1];
        if (before !== undefined) expect((before.to ?? "none") < from).toBe(true);
      });
    });
  });

  test("are none only where nothing between the bounds is left", () => {
    expect(visibleSpans({ minId: "b", maxId: "c", excised: [{ from: "", to: "c" }] })).toEqual([
      { from: "c", to: "c\0" },
    ]);
    expect(visibleSpans({ minId: "b", maxId: "c", excised: [{ from: "b", to: "c\0" }] })).toEqual(
      [],
    );
    expect(visibleSpans({ minId: "b", maxId: "b" })).toEqual([{ from: "b", to: "b\0" }]);
    expect(visibleSpans({ minId: "b", maxId: "b", excised: [{ from: "bb", to: "c" }] })).toEqual([
      { from: "b", to: "b\0" },
    ]);
  });
});

test("what was taken over between two states is what counted before and counts no more", () => {
  property((run, taken, more) => {
    const before = without(run, taken);
    const after = without(before, more);
    const found = takenOver(before, after);
    const left = visibleIds(run, [...taken, ...more]);
    const expected = visibleIds(run, taken).filter((id) => !left.includes(id));
    expect(IDS.filter((id) => id <= run.maxId && hasAny(found, id))).toEqual(expected);
    expect(takenOver(before, before)).toEqual([]);
    const back = IDS.filter((id) => hasAny(takenOver(after, before), id));
    expect(back).toEqual([]);
  });
});

test("what two spans share is what both hold, and nothing where they share nothing", () => {
  fc.assert(
    fc.property(spans, spans, (a, b) => {
      const shared = intersection(a, b);
      expect(intersection(b, a)).toEqual(shared);
      for (const id of IDS) {
        expect(shared !== undefined && has(shared, id)).toBe(has(a, id) && has(b, id));
      }
      if (shared?.to !== undefined) expect(shared.from < shared.to).toBe(true);
    }),
    { seed: SEED, numRuns: propertyRuns(5_000) },
  );
  const open = { from: "a", to: undefined };
  expect(intersection(open, open)).toEqual(open);
  expect(intersection(open, { from: "", to: "a" })).toBeUndefined();
});

test("the pieces of a level hold what counts of each run, in the order of ids", () => {
  const level = fc
    .uniqueArray(ids, { minLength: 1, maxLength: 8 })
    .map((all) => all.toSorted())
    .map((all) =>
      Array.from({ length: Math.ceil(all.length / 2) }, (_, at): Bounded => {
        const minId = all[2 * at] ?? "";
        return { minId, maxId: all[2 * at + 1] ?? minId };
      }),
    );
  fc.assert(
    fc.property(level, fc.array(spans, { maxLength: 5 }), fc.nat(), (runs, taken, turn) => {
      const left = runs.map((run, at) => (at % 2 === turn % 2 ? without(run, taken) : run));
      const pieces = piecesOf(left.toReversed());
      const found = pieces.flatMap(({ run, span }) =>
        IDS.filter((id) => id >= run.minId && id <= run.maxId && has(span, id)),
      );
      const expected = left.flatMap((run) => visibleIds(run, run.excised ?? []));
      expect(found).toEqual(expected);
      const only = piecesOf(left, (run) => takenOver(run, without(run, taken)));
      for (const { run, span } of only) {
        const inside = IDS.filter((id) => id <= run.maxId && has(span, id));
        for (const id of inside) expect(hasAny(taken, id)).toBe(true);
      }
    }),
    { seed: SEED, numRuns: propertyRuns(3_000) },
  );
});

describe("bytes that count", () => {
  const partition = (separator: string, dataOffset: number) => {
    return { separator, offset: 0, length: 1, dataOffset };
  };
  const run: RunInfo = {
    path: "p",
    index: "i",
    bytes: 1_035,
    records: 10,
    tombstones: 0,
    minId: "b",
    maxId: "y",
    minSchema: 1,
    sha256: "",
    level: 0,
    partitions: [partition("", 35), partition("g", 135), partition("p", 535)],
  };

  test("are all of a whole run, and none of one that is taken", () => {
    expect(visibleBytes(run)).toBe(1_035);
    expect(visibleBytes(excise(run, { from: "", to: undefined }))).toBe(0);
  });

  test.each([
    ["the first partition", { from: "", to: "g" }, 900],
    ["of the first from the lowest id on", { from: "b", to: "g" }, 900],
    ["the last one", { from: "p", to: undefined }, 500],
    ["the middle one", { from: "g", to: "p" }, 600],
    ["a part of the first", { from: "", to: "c" }, 950],
    ["a part of the last", { from: "x", to: undefined }, 750],
    ["a part in the middle of one", { from: "h", to: "i" }, 800],
    ["parts of two", { from: "h", to: "q" }, 550],
    ["what lies below the run", { from: "", to: "b" }, 1_000],
  ])("without %s count whole partitions, and half of others", (_, span, bytes) => {
    expect(visibleBytes(excise(run, span))).toBe(bytes);
  });

  test("never grow by what is taken, and are there while something counts", () => {
    const partitions = fc
      .uniqueArray(fc.constantFrom(...IDS.slice(1)), { maxLength: 4 })
      .map((separators) => ["", ...separators.toSorted()])
      .map((separators) => separators.map((each, at) => partition(each, 35 + at * 100)));
    fc.assert(
      fc.property(bounds, partitions, fc.array(spans, { maxLength: 4 }), (bound, parts, taken) => {
        // Every partition holds some id of the run.
        const { minId } = bound;
        const inside = parts.filter(({ separator }, at) => {
          return at === 0 || (separator > minId && separator <= bound.maxId);
        });
        const whole = { ...run, ...bound, bytes: 35 + parts.length * 100, partitions: inside };
        const steps = taken.map((_, at) => without(whole, taken.slice(0, at + 1)));
        const bytes = steps.map(visibleBytes);
        for (const [at, each] of bytes.entries()) {
          expect(each).toBeLessThanOrEqual(bytes[at - 1] ?? whole.bytes);
          const left = visibleSpans(steps[at] ?? whole);
          expect(each > 0).toBe(left.length > 0);
        }
      }),
      { seed: SEED, numRuns: propertyRuns(3_000) },
    );
  });
});
