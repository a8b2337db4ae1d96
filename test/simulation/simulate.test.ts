import { describe, expect, test } from "vitest";
import { EFFORT, repeat } from "../support/effort.ts";
import { describeFailure, simulate } from "./simulate.ts";

const SEEDS = repeat({ quick: 40, full: 400 });
const SEEDS_PER_TEST = 10;

/**
 * Less often than once in 400 seeds: since purges wait for seals, a stream seldom meets one. Of the store suite,
 * `test/store/cases/stream-races.ts` makes it happen.
 */
const RARE = new Set(["streamsPurged"]);

const totals = new Map<string, number>();

describe("the engine over simulated storage keeps the protocol's invariants", () => {
  const firsts = Array.from({ length: SEEDS / SEEDS_PER_TEST }, (_, at) => at * SEEDS_PER_TEST + 1);

  test.each(firsts)("ten seeds from %i on", { timeout: 60_000 }, async (first) => {
    for (let seed = first; seed < first + SEEDS_PER_TEST; seed++) {
      const result = await simulate(seed);
      expect.soft(describeFailure(result)).toBe("");
      for (const [name, n] of Object.entries(result.counts)) {
        totals.set(name, (totals.get(name) ?? 0) + n);
      }
    }
  });

  // What is rare takes hundreds of seeds.
  test.runIf(EFFORT === "full")(
    "and the seeds together saw everything that the checks are for",
    () => {
      for (const [name, n] of totals) if (!RARE.has(name)) expect(n, name).toBeGreaterThan(0);
      expect(totals.size).toBeGreaterThan(0);
    },
  );
});
