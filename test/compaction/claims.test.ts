/** Compactions of claims: what they pass, what they wait for, and when they delete it (K1 to K4). */
import { expect, test } from "vitest";
import type { ListPage } from "../../src/storage/backend.ts";
import { guarded, idOf, nonce } from "../support/claims.ts";
import { GUARD_GRACE_MS, LIMITS, laneScene, txnOf } from "./claims-support.ts";
import { sorted } from "./tasks-support.ts";

const [A, B] = [0x3f, 0xc0];
const FIRST: [string, string] = ["a", "first"];

const contents = (...more: [string, string][]): [string, string][] => sorted([FIRST, ...more]);

test("claims are merged lane by lane, with the log of the same pass and without", async () => {
  const held = await laneScene();
  await held.set({ lane: A, n: 1 }, "one");
  await held.set({ lane: A, n: 2 }, "two");
  await held.set({ lane: B, n: 1 }, "other");
  await held.write([["z", "log"]]);
  const found = (await held.pass()).backlog;
  expect(found).toMatchObject({ segments: 1, claims: 3 });
  const { lanes = [], runs, sealed } = await held.manifest();
  expect([lanes[A], lanes[B], lanes.length]).toEqual([2, 1, B + 1]);
  expect(sealed).toBe(1);
  const expected = contents([idOf(A), "two"], [idOf(B), "other"], ["z", "log"]);
  expect(await held.contents()).toEqual(expected);
  expect(runs.reduce((sum, { records }) => sum + records, 0)).toBe(4);

  await held.set({ lane: A, n: 3 }, "three");
  expect(await held.pass()).toMatchObject({ outcome: "published", claims: 1, segments: 0 });
  expect((await held.manifest()).lanes?.[A]).toBe(3);
  expect(await held.pass()).toMatchObject({ outcome: "idle" });
  expect(await held.contents()).toEqual(
    contents([idOf(A), "three"], [idOf(B), "other"], ["z", "log"]),
  );
  expect(held.warnings).toEqual([]);
});

test("the clock of the manifest covers what was merged, whatever the floor is", async () => {
  const held = await laneScene();
  const { clock } = await held.manifest();
  const base = { clock: clock + 5, agent: "web", writerNonce: "7".repeat(16) };
  await held.claim({ lane: A, n: 1 }, guarded(idOf(A), base, "on a write that is not merged"));
  await held.pass();
  expect((await held.manifest()).clock).toBe(clock + 5);
});

test("KEEP: passed claims go a grace after the publication, also where segments go at once", async () => {
  const held = await laneScene();
  const pass = (): Promise<unknown> =>
    held.compactor(LIMITS, { segmentGraceMs: 0, gcGraceMs: 0 }).pass();
  const path = await held.set({ lane: A, n: 1 }, "one");
  await pass();
  const { retired, guardGraceMs } = await held.manifest();
  expect(guardGraceMs).toBe(GUARD_GRACE_MS);
  const lists = retired.filter(({ claims }) => claims === true);
  expect(lists).toMatchObject([{ path: expect.stringMatching(/retired$/), list: true }]);
  await held.runtime.advance(GUARD_GRACE_MS - 1);
  await held.write([["b", "another publication"]]);
  await pass();
  expect(await held.text(path)).toBeDefined();
  await held.runtime.advance(1);
  await pass();
  expect(await held.text(path)).toBeUndefined();
  expect(await held.text(lists[0]?.path ?? "")).toBeUndefined();
  expect((await held.manifest()).retired.filter(({ claims }) => claims === true)).toEqual([]);
});

test("R1: a number that the listing lacks below the highest is read by its name", async () => {
  const held = await laneScene();
  const hidden = await held.set({ lane: A, n: 1 }, "one");
  await held.set({ lane: A, n: 2 }, "two");
  const { backend } = held;
  const list = backend.list.bind(backend);
  backend.list = async function* (...args): AsyncGenerator<ListPage> {
    for await (const page of list(...args)) {
      yield { ...page, objects: page.objects.filter(({ path }) => path !== hidden) };
    }
  };
  expect(await held.pass()).toMatchObject({ claims: 2 });
  expect((await held.manifest()).lanes?.[A]).toBe(2);
});

test("a lane ends before a number that is not there, or cannot be read; others go on", async () => {
  const held = await laneScene();
  await held.set({ lane: A, n: 1 }, "one");
  await held.set({ lane: A, n: 3 }, "after a gap");
  await held.set({ lane: B, n: 1 }, "one");
  const damaged = await held.set({ lane: B, n: 2 }, "damaged");
  await held.damage(damaged);
  expect(await held.pass()).toMatchObject({ claims: 2 });
  const { lanes = [] } = await held.manifest();
  expect([lanes[A], lanes[B]]).toEqual([1, 1]);
  expect(held.warnings).toEqual([
    expect.stringMatching(`^not compacted, because it cannot be read: ${damaged}`),
  ]);
});

test("a number far above all others costs no search for those before it", async () => {
  const held = await laneScene();
  await held.set({ lane: A, n: 1 }, "one");
  await held.set({ lane: A, n: 900_000_000 }, "from nowhere");
  const { backend } = held;
  const get = backend.get.bind(backend);
  let reads = 0;
  backend.get = (...args) => {
    if (args[0].startsWith("ops/")) reads++;
    return get(...args);
  };
  expect(await held.pass()).toMatchObject({ claims: 1 });
  expect(reads).toBeLessThan(40);
});

test("a long backlog of claims is merged in several steps of one pass", async () => {
  const held = await laneScene();
  const ids = [A, B].map((lane) => idOf(lane));
  for (let n = 1; n <= 2_600; n++) {
    await held.claim({ lane: A, n }, held.operation(ids[0] ?? "", n));
    await held.claim({ lane: B, n }, held.operation(ids[1] ?? "", n));
  }
  const before = (await held.manifest()).generation;
  expect(await held.pass()).toMatchObject({ outcome: "published", claims: 5_200 });
  const { lanes = [], generation } = await held.manifest();
  expect([lanes[A], lanes[B]]).toEqual([2_600, 2_600]);
  expect(generation).toBeGreaterThan(before + 1);
});

test("LANE-FLOOR: what a compactor read of the lanes does not count over what another has passed", async () => {
  const held = await laneScene();
  const id = idOf(A);
  await held.set({ lane: A, n: 1 }, "one");
  const { backend } = held;
  const put = backend.put.bind(backend);
  let others: Promise<unknown> | undefined;
  backend.put = async (...args) => {
    if (args[0] === "manifest.json" && others === undefined) {
      others = (async () => {
        await backend.delete(["compact.lease"]);
        await held.pass();
        await held.set({ lane: A, n: 2 }, "two");
        await held.pass();
        await held.runtime.advance(2 * GUARD_GRACE_MS);
        await held.pass();
        expect(await held.paths("ops/")).toEqual([]);
      })();
      await others;
    }
    return put(...args);
  };
  expect(await held.pass()).toMatchObject({ outcome: "lost" });
  backend.put = put;
  expect((await held.manifest()).lanes?.[A]).toBe(2);
  expect(await held.contents()).toEqual(contents([id, "two"]));
});

test("claims whose levels others have merged meanwhile are published alone", async () => {
  const held = await laneScene();
  await held.set({ lane: A, n: 1 }, "one");
  await held.write([["z", "log"]]);
  const { backend } = held;
  const put = backend.put.bind(backend);
  let others: Promise<unknown> | undefined;
  backend.put = async (...args) => {
    if (args[0] === "manifest.json" && others === undefined) {
      others = held.pass({ kind: "log", index: 0, of: 1 });
      expect(await others).toMatchObject({ outcome: "published", segments: 1, claims: 0 });
    }
    return put(...args);
  };
  const task = { kind: "units", index: 0, of: 2 } as const;
  expect(await held.pass(task)).toMatchObject({ outcome: "published", claims: 1 });
  backend.put = put;
  expect((await held.manifest()).lanes?.[A]).toBe(1);
  expect(await held.contents()).toEqual(contents([idOf(A), "one"], ["z", "log"]));
});

test("of several workers the first of the units merges claims, and no other", async () => {
  const held = await laneScene();
  await held.set({ lane: A, n: 1 }, "one");
  for (const kind of ["log", "units"] as const) {
    expect((await held.pass({ kind, index: 1, of: 2 })).claims).toBe(0);
  }
  expect((await held.pass({ kind: "log", index: 0, of: 2 })).claims).toBe(0);
  expect((await held.pass({ kind: "units", index: 0, of: 2 })).claims).toBe(1);
});

test("a crash after the publication leaves claims to a later pass", async () => {
  const held = await laneScene();
  const path = await held.set({ lane: A, n: 1 }, "one");
  await held.pass();
  await held.runtime.advance(GUARD_GRACE_MS);
  const { backend } = held;
  const remove = backend.delete.bind(backend);
  backend.delete = async (paths) => {
    if (paths.includes(path)) throw new Error("crashed");
    return remove(paths);
  };
  await expect(held.pass()).rejects.toThrow("crashed");
  backend.delete = remove;
  expect(await held.text(path), "in no list any more").toBeDefined();
  expect((await held.manifest()).retired.some(({ claims }) => claims === true)).toBe(false);
  await held.write([["b", "another publication"]]);
  await held.pass();
  expect(await held.text(path)).toBeUndefined();
  expect(await held.contents()).toEqual(contents([idOf(A), "one"], ["b", "another publication"]));
});

test("K4: strays go with the next publication, but nothing that a list names", async () => {
  const held = await laneScene();
  const kept = await held.set({ lane: A, n: 1 }, "one");
  await held.set({ lane: A, n: 2 }, "two");
  await held.pass();
  await held.runtime.advance(GUARD_GRACE_MS);
  await held.pass();
  expect(await held.paths("ops/")).toEqual([]);
  // A late request on a used number.
  const stray = await held.claim(
    { lane: A, n: 1 },
    guarded(idOf(A), { clock: 1, agent: "", writerNonce: "" }, "a late request"),
  );
  expect(stray).toBe(kept);
  const listed = await held.set({ lane: B, n: 1 }, "passed now");
  expect(await held.contents()).toEqual(contents([idOf(A), "two"], [idOf(B), "passed now"]));
  await held.pass();
  expect(await held.paths("ops/")).toEqual([listed]);
  await held.write([["b", "another publication"]]);
  await held.pass();
  expect(await held.paths("ops/")).toContain(listed);
  expect(await held.contents()).toEqual(
    contents([idOf(A), "two"], [idOf(B), "passed now"], ["b", "another publication"]),
  );
});

test("K4: a transaction that nothing names goes once it is older than a grace", async () => {
  const held = await laneScene();
  const abort = { kind: "abort", nonce: nonce() } as const;
  const [stray, awaited] = [txnOf(1), txnOf(2)];
  await held.decide(stray, abort);
  await held.set({ lane: A, n: 1 }, "one");
  await held.pass();
  expect(await held.text(stray), "its intents may be listed later").toBeDefined();
  await held.runtime.advance(GUARD_GRACE_MS);
  await held.decide(awaited, { ...abort, nonce: nonce() });
  const damaged = await held.set({ lane: B, n: 1 }, "damaged");
  await held.damage(damaged);
  await held.pass();
  expect(await held.text(stray), "who knows what the damaged claim names").toBeDefined();
  await held.backend.delete([damaged]);
  await held.intent({ lane: A, n: 2 }, awaited);
  await held.pass();
  expect(await held.text(stray)).toBeUndefined();
  expect(await held.text(awaited)).toBeDefined();
});

test("a list of claims that cannot be read delays what it names, and strays", async () => {
  const held = await laneScene();
  const path = await held.set({ lane: A, n: 1 }, "one");
  await held.pass();
  const list = (await held.manifest()).retired.find(({ claims }) => claims === true)?.path ?? "";
  await held.damage(list);
  await held.write([["b", "another publication"]]);
  await held.pass();
  expect(await held.text(path)).toBeDefined();
  await held.runtime.advance(GUARD_GRACE_MS);
  await held.pass();
  expect(await held.text(path)).toBeDefined();
  await held.write([["c", "and another"]]);
  await held.pass();
  expect(await held.text(path)).toBeUndefined();
});
