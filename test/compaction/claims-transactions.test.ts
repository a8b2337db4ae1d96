/** Compactions of transactions: what waits for a decision, and what passes together (K1, K2). */
import { expect, test } from "vitest";
import type { GuardedOperation } from "../../src/format/claim.ts";
import { claimPath } from "../../src/format/paths.ts";
import type { ListPage } from "../../src/storage/backend.ts";
import { idOf, nonce } from "../support/claims.ts";
import { GUARD_GRACE_MS, type LaneScene, laneScene, txnOf } from "./claims-support.ts";
import { sorted } from "./tasks-support.ts";

const [A, B] = [0x3f, 0xc0];
const FIRST: [string, string] = ["a", "first"];

const contents = (...more: [string, string][]): [string, string][] => sorted([FIRST, ...more]);

/** A claim of two places, and what it does to both records. */
async function intents(
  held: LaneScene,
  txn: string,
  places = [
    { lane: A, n: 1 },
    { lane: B, n: 1 },
  ],
): Promise<readonly GuardedOperation[]> {
  for (const place of places) await held.intent(place, txn);
  return places.map(({ lane }) => held.operation(idOf(lane), `of ${lane}`));
}

test("DECIDED: a lane waits before an intent that may still be decided, and aborts it after a grace", async () => {
  const held = await laneScene();
  const txn = txnOf(1);
  await held.set({ lane: A, n: 1 }, "before");
  await held.intent({ lane: A, n: 2 }, txn);
  await held.set({ lane: A, n: 3 }, "after");
  await held.pass();
  expect((await held.manifest()).lanes?.[A]).toBe(1);
  await held.runtime.advance(GUARD_GRACE_MS);
  await held.pass();
  expect((await held.manifest()).lanes?.[A]).toBe(1);
  await held.runtime.advance(1);
  expect(await held.pass()).toMatchObject({ claims: 2 });
  expect((await held.manifest()).lanes?.[A]).toBe(3);
  expect(await held.text(txn)).toMatch(/"kind":"abort"/);
  await held.runtime.advance(GUARD_GRACE_MS);
  await held.pass();
  expect(await held.paths("ops/")).toEqual([]);
  expect(await held.contents()).toEqual(contents([idOf(A), "after"]));
});

test("a commit that comes before the abort counts", async () => {
  const held = await laneScene();
  const txn = txnOf(1);
  const operations = await intents(held, txn);
  const at = [
    { lane: A, n: 1 },
    { lane: B, n: 1 },
  ];
  await held.runtime.advance(2 * GUARD_GRACE_MS);
  const { backend } = held;
  const put = backend.put.bind(backend);
  backend.put = async (...args) => {
    if (args[0] === txn) {
      backend.put = put;
      await held.commit(txn, at, ...operations);
    }
    return put(...args);
  };
  expect(await held.pass()).toMatchObject({ claims: 2, operations: 2 });
  expect(await held.contents()).toEqual(contents([idOf(A), "of 63"], [idOf(B), "of 192"]));
});

test("CUT: the places of a commit pass together, or none of them", async () => {
  const held = await laneScene();
  const txn = txnOf(1);
  await held.set({ lane: B, n: 1 }, "before");
  const operations = await intents(held, txn, [
    { lane: A, n: 1 },
    { lane: B, n: 3 },
  ]);
  await held.commit(
    txn,
    [
      { lane: A, n: 1 },
      { lane: B, n: 3 },
    ],
    ...operations,
  );
  await held.set({ lane: A, n: 2 }, "waits with it");
  await held.intent({ lane: B, n: 2 }, txnOf(2), [idOf(B, 1)]);
  expect(await held.pass()).toMatchObject({ claims: 1 });
  const { lanes = [] } = await held.manifest();
  expect([lanes[A], lanes[B]]).toEqual([0, 1]);
  expect(await held.contents()).toEqual(contents([idOf(A), "waits with it"], [idOf(B), "of 192"]));
  await held.decide(txnOf(2), { kind: "abort", nonce: nonce() });
  expect(await held.pass()).toMatchObject({ claims: 4 });
  const next = (await held.manifest()).lanes ?? [];
  expect([next[A], next[B]]).toEqual([2, 3]);
  expect(await held.contents()).toEqual(contents([idOf(A), "waits with it"], [idOf(B), "of 192"]));
});

test("a place that a commit names, and that no listing shows, is read", async () => {
  const held = await laneScene();
  const txn = txnOf(1);
  const operations = await intents(held, txn);
  const hidden = claimPath({ lane: B, n: 1 });
  const at = [
    { lane: A, n: 1 },
    { lane: B, n: 1 },
  ];
  await held.commit(txn, at, ...operations);
  const { backend } = held;
  const list = backend.list.bind(backend);
  backend.list = async function* (...args): AsyncGenerator<ListPage> {
    for await (const page of list(...args)) {
      yield { ...page, objects: page.objects.filter(({ path }) => path !== hidden) };
    }
  };
  expect(await held.pass()).toMatchObject({ claims: 2, operations: 2 });
});

test("AT: a commit of which a place is passed is left out", async () => {
  const held = await laneScene();
  const txn = txnOf(1);
  await held.intent({ lane: A, n: 1 }, txn);
  await held.runtime.advance(GUARD_GRACE_MS + 1);
  await held.pass();
  expect((await held.manifest()).lanes?.[A]).toBe(1);
  await held.runtime.advance(GUARD_GRACE_MS);
  await held.pass();
  expect(await held.text(txn), "the abort is collected").toBeUndefined();
  // The owner goes on.
  await held.intent({ lane: B, n: 1 }, txn);
  const at = [
    { lane: A, n: 1 },
    { lane: B, n: 1 },
  ];
  const operations = at.map(({ lane }) => held.operation(idOf(lane), "too late"));
  await held.commit(txn, at, ...operations);
  expect(await held.pass()).toMatchObject({ claims: 1, operations: 0 });
  expect((await held.manifest()).lanes?.[B]).toBe(1);
  expect(await held.contents()).toEqual(contents());
  await held.runtime.advance(GUARD_GRACE_MS);
  await held.pass();
  expect(await held.paths("ops/")).toEqual([]);
});

test("K4: a commit stays whose intents a listing lacks that was cut short", async () => {
  const held = await laneScene();
  const txn = txnOf(1);
  const places = [
    { lane: 0xb0, n: 1 },
    { lane: 0xc0, n: 1 },
  ];
  const operations = await intents(held, txn, places);
  await held.commit(txn, places, ...operations);
  await held.runtime.advance(2 * GUARD_GRACE_MS);
  await held.write([["z", "another publication"]]);
  const { backend } = held;
  const list = backend.list.bind(backend);
  backend.list = async function* (prefix, options): AsyncGenerator<ListPage> {
    for await (const page of list(prefix, options)) {
      const end = page.objects.findIndex(({ path }) => path === txn) + 1;
      if (end === 0 || options?.after !== undefined) yield page;
      else {
        yield { ...page, objects: page.objects.slice(0, end), truncated: true };
        yield { ...page, objects: page.objects.slice(end) };
      }
    }
  };
  // An eighth of the time is over after the first page.
  let asked = 0;
  const cut = await held.pass(undefined, undefined, () => (asked++ === 0 ? 60_000 : 50_000));
  expect(cut.outcome).toBe("published");
  expect(await held.text(txn)).toBeDefined();
  backend.list = list;
  await held.settle();
  expect(await held.contents()).toEqual(
    contents([idOf(0xb0), "of 176"], [idOf(0xc0), "of 192"], ["z", "another publication"]),
  );
});
