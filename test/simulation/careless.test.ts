import { expect, test } from "vitest";
import { repeat } from "../support/effort.ts";
import { simulateCareless } from "./careless.ts";

const SEEDS = repeat({ quick: 4, full: 12 });

test("where the server ignores conditions nothing is acknowledged, nothing published", async () => {
  let refused = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const result = await simulateCareless(seed);
    expect({ seed, ...result }).toMatchObject({ seed, acked: 0, published: 0 });
    refused += result.refused;
  }
  expect(refused).toBeGreaterThan(SEEDS);
}, 120_000);
