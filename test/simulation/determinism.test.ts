import { expect, test } from "vitest";
import { Prng } from "./prng.ts";
import { simulate } from "./simulate.ts";

test.each([3, 17, 42])("seed %i runs alike every time, bit for bit", async (seed) => {
  const [one, two] = [await simulate(seed), await simulate(seed)];
  expect(two.hash).toBe(one.hash);
  expect(two.events).toBe(one.events);
});

test("two seeds give two runs", async () => {
  expect((await simulate(1)).hash).not.toBe((await simulate(2)).hash);
});

test("random numbers of a seed are the same on every machine", () => {
  const prng = new Prng("seed");
  const drawn = [prng.hex(16), prng.below(1_000), prng.between(5, 9), prng.pick(["a", "b", "c"])];
  expect(drawn).toMatchInlineSnapshot(`
    [
      "6843db8af52ee201",
      99,
      5,
      "a",
    ]
  `);
});
