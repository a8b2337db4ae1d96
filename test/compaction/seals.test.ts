/** Purges beside guarded writes: nothing is dropped before every lane has passed a seal (K5, SEAL). */
import { expect, test } from "vitest";
import { LANES } from "../../src/core/lane.ts";
import { AccessDeniedError, WriteOutcomeUnknownError } from "../../src/core/errors.ts";
import { claimPath } from "../../src/format/paths.ts";
import type { Manifest } from "../../src/format/manifest-codec.ts";
import { dataClaim, claimBytes, guarded, idOf } from "../support/claims.ts";
import { LIMITS, LONG_MS, type LaneScene, laneScene, txnOf } from "./claims-support.ts";

const A = 0x3f;
const GONE = idOf(A);
const OTHERS: [string, string][] = [
  ["x", "deleted"],
  ["y", "deleted"],
];

const tombstones = ({ runs }: Manifest): number =>
  runs.reduce((sum, run) => sum + run.tombstones, 0);

/** The version of the value that is deleted, as a guarded writer saw it, and its deletion. */
async function withDeletions(): Promise<{ held: LaneScene; late: Uint8Array }> {
  const held = await laneScene();
  await held.write([[GONE, "value"], ...OTHERS]);
  await held.pass();
  const { clock } = await held.manifest();
  const base = { clock: clock - 10, agent: "w0", writerNonce: "5".repeat(16) };
  const late = claimBytes(dataClaim({ lane: A, n: 1 }, [guarded(GONE, base, "back again")]));
  await held.write([
    [GONE, undefined],
    ...OTHERS.map(([id]): [string, undefined] => [id, undefined]),
  ]);
  await held.pass();
  await held.runtime.advance(LONG_MS);
  return { held, late };
}

/** Acts once, before the first seal is created of the lane. */
function beforeSeal(held: LaneScene, act: () => Promise<unknown>): void {
  const { backend } = held;
  const put = backend.put.bind(backend);
  backend.put = async (...args) => {
    if (args[0].includes("lane-3f")) {
      backend.put = put;
      await act();
    }
    return put(...args);
  };
}

test("a pass seals all lanes, then raises the floor, then purges", async () => {
  const { held } = await withDeletions();
  const before = await held.manifest();
  expect(tombstones(before)).toBe(3);
  const report = await held.pass();
  expect(report).toMatchObject({ outcome: "published", claims: LANES });
  const after = await held.manifest();
  expect(after.purgeFloor).toBe(before.clock);
  expect(after.sealed).toBeGreaterThanOrEqual(before.generation);
  expect(after.lastPurge).toBeGreaterThan(1);
  expect(after.lastPurge).toBeLessThanOrEqual(after.sealed);
  expect(after.lanes).toEqual(Array.from({ length: LANES }, () => 1));
  expect(tombstones(after)).toBe(0);
  expect(await held.contents()).toEqual([["a", "first"]]);
  await held.runtime.advance(LONG_MS);
  await held.settle();
  expect(await held.paths("ops/"), "the seals are collected").toEqual([]);
  expect(held.warnings).toEqual([]);
});

test("SEAL: a claim that was decided before the deletion and lands before the seal is merged with it", async () => {
  const { held, late } = await withDeletions();
  beforeSeal(held, async () => {
    await held.backend.put(claimPath({ lane: A, n: 1 }), late, { ifAbsent: true });
  });
  expect(await held.pass()).toMatchObject({ claims: LANES + 1 });
  const after = await held.manifest();
  expect(after.lanes?.[A]).toBe(2);
  expect(tombstones(after)).toBe(0);
  expect(await held.contents()).toEqual([["a", "first"]]);
});

test("SEAL: one that lands after the seal is refused, as its writer must look anew", async () => {
  const { held, late } = await withDeletions();
  await held.pass();
  const put = await held.backend.put(claimPath({ lane: A, n: 1 }), late, { ifAbsent: true });
  expect(put.status).toBe("conflict");
  expect(await held.contents()).toEqual([["a", "first"]]);
});

test("SEAL: while a lane cannot be passed, no lane is sealed and nothing is purged", async () => {
  const { held } = await withDeletions();
  await held.intent({ lane: A, n: 1 }, txnOf(1));
  await held.write([["b", "more"]]);
  expect(await held.pass()).toMatchObject({ claims: 0 });
  const blocked = await held.manifest();
  expect(blocked).toMatchObject({ purgeFloor: 0, sealed: 1 });
  expect(tombstones(blocked)).toBe(3);
  expect((await held.paths("ops/")).filter((path) => path.includes("lane-"))).toHaveLength(1);
  await held.runtime.advance(LONG_MS);
  expect(await held.pass()).toMatchObject({ claims: LANES + 1 });
  expect(tombstones(await held.manifest())).toBe(0);
});

test("SEAL: an intent that comes before the seal of its lane keeps what is deleted", async () => {
  const { held } = await withDeletions();
  beforeSeal(held, async () => {
    await held.intent({ lane: A, n: 1 }, txnOf(1));
  });
  expect(await held.pass()).toMatchObject({ outcome: "published", claims: LANES - 1 });
  const open = await held.manifest();
  expect(open).toMatchObject({ purgeFloor: 0, sealed: 1 });
  expect(open.lanes?.[A]).toBe(0);
  expect(tombstones(open)).toBe(3);
  // As the lane waits, nobody makes seals that cannot be passed.
  await held.write([["b", "more"]]);
  await held.pass();
  const names = await held.paths("ops/");
  expect(names.filter((path) => path.includes("000000000002.jsonl"))).toHaveLength(1);
  await held.runtime.advance(LONG_MS);
  await held.pass();
  expect(tombstones(await held.manifest())).toBe(0);
  expect(await held.contents()).toEqual([
    ["a", "first"],
    ["b", "more"],
  ]);
});

test("a guarded deletion below the floor waits for a seal of its own, and for no rise of the floor", async () => {
  const { held } = await withDeletions();
  await held.pass();
  const purged = await held.manifest();
  const { purgeFloor } = purged;
  expect(purged.clock).toBe(purgeFloor);
  // Of the only record, whose clock is far below.
  const [value] = purged.runs;
  expect(value).toMatchObject({ records: 1, tombstones: 0 });
  const base = { clock: 1, agent: "w0", writerNonce: "5".repeat(16) };
  const place = { lane: A, n: 2 };
  const deleted = guarded(GONE, base, undefined);
  await held.claim(place, deleted);
  await held.pass();
  const merged = await held.manifest();
  expect([tombstones(merged), merged.sealed]).toEqual([1, purged.sealed]);
  const { since = 0 } = merged.runs.find((run) => run.tombstones > 0) ?? {};
  expect(since).toBeGreaterThan(merged.sealed);
  await held.runtime.advance(LONG_MS);
  await held.claim({ lane: 1, n: 2 }, guarded(idOf(1), { ...base, clock: 2 }, "more"));
  await held.pass();
  const after = await held.manifest();
  expect(after.sealed).toBeGreaterThanOrEqual(since);
  expect(after.purgeFloor).toBe(purgeFloor);
  expect(tombstones(after)).toBe(0);
  expect(after.lastPurge).toBeGreaterThan(purged.sealed);
  expect(after.lastPurge).toBeLessThanOrEqual(after.sealed);
});

test("lanes are sealed at most once in a part of the grace, whatever waits for it", async () => {
  const { held } = await withDeletions();
  await held.pass();
  const { sealed } = await held.manifest();
  await held.write([["b", "more"]]);
  await held.write([["b", undefined]]);
  await held.claim(
    { lane: A, n: 2 },
    guarded(GONE, { clock: 1, agent: "", writerNonce: "" }, undefined),
  );
  for (let round = 0; round < 3; round++) await held.pass();
  expect(await held.manifest()).toMatchObject({ sealed });
});

const PASSED_OVER = [
  new WriteOutcomeUnknownError("no answer", { path: claimPath({ lane: A, n: 1 }) }),
  new AccessDeniedError("the role may not write here", {}),
];

test.each(PASSED_OVER)("what is deleted stays until another pass has sealed: %s", async (error) => {
  const { held } = await withDeletions();
  beforeSeal(held, async () => {
    throw error;
  });
  await held.pass();
  expect(held.warnings).toEqual([expect.stringMatching(/^no deletion is purged/)]);
  expect(await held.manifest()).toMatchObject({ sealed: 1, purgeFloor: 0 });
  expect(await held.pass(), "what was created is passed").toMatchObject({ outcome: "published" });
  expect(await held.manifest()).toMatchObject({ sealed: 1 });
  await held.runtime.advance(LONG_MS);
  await held.settle();
  expect(tombstones(await held.manifest())).toBe(0);
  expect(await held.contents()).toEqual([["a", "first"]]);
});

test("a pass that is to merge everything seals for a single deletion", async () => {
  const held = await laneScene();
  await held.write(Array.from({ length: 20 }, (_, n): [string, string] => [`r${n}`, "kept"]));
  await held.write([["r3", undefined]]);
  await held.pass();
  await held.runtime.advance(LONG_MS);
  await held.pass();
  expect(tombstones(await held.manifest())).toBe(1);
  const { report } = await held.compactor(LIMITS).pass({ full: true });
  expect(report.claims).toBe(0);
  await held.write([["b", "more"]]);
  expect((await held.compactor(LIMITS).pass({ full: true })).report.claims).toBe(LANES);
  expect(tombstones(await held.manifest())).toBe(0);
});

test("of several workers the first of the units seals and purges", async () => {
  const { held } = await withDeletions();
  for (const index of [0, 1]) await held.pass({ kind: "log", index, of: 2 });
  await held.pass({ kind: "units", index: 1, of: 2 });
  expect(await held.manifest()).toMatchObject({ sealed: 1 });
  const report = await held.pass({ kind: "units", index: 0, of: 2 });
  expect(report.claims).toBe(LANES);
  expect(tombstones(await held.manifest())).toBe(0);
});
