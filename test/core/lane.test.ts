import { hash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { laneOf, LANES } from "../../src/core/lane.ts";

/** By the text of the definition. */
function expected(hashed: string): number {
  return Number.parseInt(hash("sha256", JSON.stringify(hashed)).slice(0, 2), 16);
}

test("a lane is the first 8 bits of the hash of the id", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (id) => {
      if (!id.includes("{")) expect(laneOf(id)).toBe(expected(id));
      expect(laneOf(id)).toBeLessThan(LANES);
    }),
    { seed: 20_261_130 },
  );
});

test.each([
  ["a{b}c", "b"],
  ["{b}", "b"],
  ["{b}{c}", "b"],
  ["}{b}", "b"],
  ["{a{b}c}", "a{b"],
  ["{}b", "{}b"],
  ["{}{b}", "{}{b}"],
  ["{b", "{b"],
  ["b}{", "b}{"],
])("of %s it is %s that is hashed", (id, tag) => {
  expect(laneOf(id)).toBe(expected(tag));
});
