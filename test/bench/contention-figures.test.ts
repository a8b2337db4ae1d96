import { expect, test } from "vitest";
import { dollars, markdown } from "../../bench/s3/contention/figures.ts";

const requests = { get: 15, head: 5, put: 10, list: 10, delete: 7 };

test("a million calls cost what their requests do", () => {
  // 2 GET, 1 PUT and 1 LIST each; DELETE is free.
  expect(dollars({ requests, calls: 10 })).toBeCloseTo(10.8);
  expect(dollars({ requests, calls: 0 })).toBeCloseTo(108);
});

test("a row has each figure for one call", () => {
  const figure = {
    store: "ours",
    scenario: "update",
    requests,
    roundTrips: 25,
    calls: 10,
    ms: 500,
  };
  const told = { ...figure, scenario: "contended", done: 10, stored: 9 };
  expect(markdown([figure, told]).split("\n").slice(2)).toEqual([
    "| update | ours | 2 GET, 1 PUT, 1 LIST | 2.5 | 10.80 | 20 |  |",
    "| contended | ours | 2 GET, 1 PUT, 1 LIST | 2.5 | 10.80 | 20 | 10 / 9 |",
  ]);
});
