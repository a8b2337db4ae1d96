/** Calls that run once by their key, and the records that only they see. */
import { describe, expect, test } from "vitest";
import {
  InvalidArgumentError,
  NotOpenError,
  NotSupportedError,
  OnceInProgressError,
  OnceLostError,
  ReadOnlyError,
} from "../../../src/core/errors.ts";
import { CostMeter } from "../../../src/core/cost-meter.ts";
import { Deferred } from "../../../src/core/deferred.ts";
import { systemRuntime } from "../../../src/core/runtime.ts";
import type { Store } from "../../../src/store/store.ts";
import { settledIn } from "../../support/settled.ts";
import { type Fixture, type MakeMedium, setUp } from "../fixture.ts";

const SHARED = { agentId: "a" } as const;
/** The shortest there is, and what is longer by the medium's dates, which may be whole seconds. */
const LEASE_MS = 1_000;
const LATER_MS = 2_100;

/** A function that ends when the test says so. */
function held<R>(): { fn: () => Promise<R>; begun: Promise<void>; end: (result: R) => void } {
  const begun = new Deferred();
  const ended = new Deferred<R>();
  const fn = (): Promise<R> => {
    begun.resolve();
    return ended.promise;
  };
  return { fn, begun: begun.promise, end: (result) => ended.resolve(result) };
}

/** No timer of the store fires: as of a process that is frozen while its function runs. */
const WITHOUT_RENEWAL = {
  runtime: {
    ...systemRuntime,
    idle: (_ms: number, signal?: AbortSignal): Promise<void> =>
      new Promise((resolve) => {
        if (signal?.aborted === true) resolve();
        signal?.addEventListener("abort", () => resolve(), { once: true });
      }),
  },
};

async function collect<R>(found: AsyncIterable<R>): Promise<R[]> {
  const all: R[] = [];
  for await (const one of found) all.push(one);
  return all;
}

async function withLanes(make: MakeMedium): Promise<Fixture> {
  const fixture = await setUp(make);
  await (await fixture.open({ agentId: "first" })).close();
  return fixture;
}

export function onceCases(make: MakeMedium): void {
  describe.each([
    ["one process alone", {}],
    ["several processes, eager", SHARED],
    ["several processes, lazy", { ...SHARED, skipLoad: true }],
  ] as const)("%s", (_name, options) => {
    test("runs the function once, and returns what it returned, also later and elsewhere", async () => {
      const { open } = await withLanes(make);
      const store = await open(options);
      let runs = 0;
      const receipt = (): Promise<object> => Promise.resolve({ n: ++runs, at: new Date(0) });
      const kept = { n: 1, at: "1970-01-01T00:00:00.000Z" };
      expect(await store.once("order 7", receipt)).toEqual(kept);
      const again = await store.once("order 7", receipt);
      expect(again).toEqual(kept);
      expect(Object.isFrozen(again)).toBe(true);
      expect(await store.once("order 8", receipt)).toMatchObject({ n: 2 });
      await store.close();
      const other = await open(options);
      expect(await other.once("order 7", receipt)).toEqual(kept);
      expect(runs).toBe(2);
    });

    test.each([[undefined], [null], [0], [""], [[1, { a: [] }]]])(
      "a result %j is returned as it was",
      async (result) => {
        const { open } = await withLanes(make);
        const store = await open(options);
        expect(await store.once("a", () => result)).toEqual(result);
        expect(await store.once("a", () => "second")).toEqual(result);
      },
    );

    test("a function that fails runs again, one whose result is no JSON too", async () => {
      const { open, warnings } = await withLanes(make);
      const store = await open(options);
      const failure = new Error("no");
      const failing = (): never => {
        throw failure;
      };
      await expect(store.once("a", failing)).rejects.toBe(failure);
      await expect(store.once("a", () => Promise.reject(failure))).rejects.toBe(failure);
      await expect(store.once("a", () => new Map())).rejects.toThrow(InvalidArgumentError);
      await expect(store.once("a", () => ({ n: Number.NaN }))).rejects.toThrow(/NaN/);
      expect(await store.once("a", () => 1)).toBe(1);
      expect(warnings).toEqual([]);
    });

    test("a call of the same key within the function, or beside it, is refused", async () => {
      const { open } = await withLanes(make);
      const store = await open(options);
      const inner = await store.once("a", async () => {
        const { rejected } = await settledIn([
          store.once("a", () => "inner"),
          store.once("b", () => "other key"),
        ]);
        expect(rejected).toHaveLength(1);
        expect(rejected[0]).toBeInstanceOf(OnceInProgressError);
        return (rejected[0] as OnceInProgressError).retryAfterMs;
      });
      expect(inner).toBeGreaterThan(0);
      expect(inner).toBeLessThanOrEqual(60_001);
    });

    test("20 calls at once have one effect", async () => {
      const { open } = await withLanes(make);
      const store = await open(options);
      let runs = 0;
      const calls = Array.from({ length: 20 }, () => store.once("a", () => ++runs));
      const { fulfilled, rejected } = await settledIn(calls);
      expect(runs).toBe(1);
      expect(new Set(fulfilled)).toEqual(new Set([1]));
      expect(rejected.every((error) => error instanceof OnceInProgressError)).toBe(true);
      expect(await store.once("a", () => ++runs)).toBe(1);
    });

    test("nothing shows its record, and nothing takes it back", async () => {
      const { open, entries, lookUp } = await withLanes(make);
      const store = await open(options);
      const follower = await open({ agentId: "f", skipLoad: true }).catch(() => undefined);
      await follower?.tail();
      await store.set("a", 1);
      await store.once("k", () => "x");
      const id = "\u0000once:k";
      const unseen = async (): Promise<void> => {
        expect(store.get(id)).toBeUndefined();
        expect(store.has(id)).toBe(false);
        expect(store.entries()).toEqual([["a", 1]]);
        expect([store.count(), store.stats().activeRecords]).toEqual([1, 1]);
        expect(await store.read(id)).toBeUndefined();
        expect(await store.versionOf(id)).toBeUndefined();
        expect(await collect(store.scan())).toEqual([["a", 1]]);
        expect(await collect(store.scan({ prefix: "\u0000" }))).toEqual([]);
        expect(await entries()).toEqual([["a", 1]]);
        expect([...(await lookUp(["a", id]))]).toEqual([["a", 1]]);
        const snapshot = await collect(store.streamSnapshot());
        const log = await collect(store.getWalOps());
        const streamed = [...snapshot.map(([found]) => found), ...log.map((one) => one.id)];
        expect(new Set(streamed)).toEqual(new Set(["a"]));
        expect(store.getHistory(id)).toEqual([]);
        expect(store.getOps().every((operation) => operation.id === "a")).toBe(true);
      };
      await store.hydrate();
      await unseen();
      expect((await follower?.tail())?.map((operation) => operation.id) ?? ["a"]).toEqual(["a"]);
      await store.compact();
      await unseen();
      expect((await follower?.tail()) ?? []).toEqual([]);
      await store.set("a", 2);
      await store.once("l", () => "y");
      expect(await store.undo()).toBe(true);
      expect(store.get("a")).toBe(1);
      expect(await store.archive(() => true)).toBe(1);
      expect(await store.once("k", () => "second")).toBe("x");
      expect(await store.once("l", () => "second")).toBe("y");
    });

    test("its ids cannot be written", async () => {
      const { open, entries } = await withLanes(make);
      const store = await open(options);
      const id = "\u0000once:k";
      await store.once("k", () => 1);
      for (const refused of [
        () => store.set(id, 1),
        () => store.set(id, 1, { ifAbsent: true }),
        () => store.update(id, () => 1),
        () => store.update(id, () => 1, { atomic: true }),
        () => store.delete(id),
        () =>
          store.batch(() => {
            void store.set("a", 1);
            void store.set(id, 1);
          }),
      ]) {
        await expect(Promise.resolve().then(refused)).rejects.toThrow(InvalidArgumentError);
      }
      expect(await entries()).toEqual([]);
      await store.set("\u0000one", 1);
      expect(await store.once("k", () => 2)).toBe(1);
      expect(await entries()).toEqual([["\u0000one", 1]]);
    });

    test("what it cannot use is refused before the function runs", async () => {
      const { open } = await withLanes(make);
      const store = await open(options);
      let runs = 0;
      const run = (): number => ++runs;
      for (const refused of [
        () => store.once("", run),
        () => store.once(7 as never, run),
        () => store.once("x".repeat(70_000), run),
        () => store.once("a", "run" as never),
        () => store.once("a", run, { ttlMs: 0 }),
        () => store.once("a", run, { ttlMs: Infinity }),
        () => store.once("a", run, { leaseMs: 999 }),
        () => store.once("a", run, { leaseMs: "long" as never }),
        () => store.once("a", run, { lease: 1 } as never),
        () => store.once("a", run, null as never),
      ]) {
        await expect(Promise.resolve().then(refused)).rejects.toThrow(InvalidArgumentError);
      }
      const batch = store.batch(() => void store.once("a", run));
      await expect(batch).rejects.toThrow(/cannot be part of a batch/);
      expect(runs).toBe(0);
      await store.close();
      await expect(Promise.resolve().then(() => store.once("a", run))).rejects.toThrow(
        NotOpenError,
      );
    });
  });

  test("of a webhook that 20 processes get at once there is one effect", async () => {
    const { open } = await withLanes(make);
    const stores = await Promise.all(
      Array.from({ length: 20 }, (_, n) => open({ agentId: `a-${n}`, skipLoad: n % 2 === 0 })),
    );
    let effects = 0;
    const deliver = async (store: Store<unknown>): Promise<number> => {
      for (;;) {
        try {
          return await store.once("event-1", () => Promise.resolve(++effects));
        } catch (error) {
          if (!(error instanceof OnceInProgressError)) throw error;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    };
    expect(await Promise.all(stores.map(deliver))).toEqual(Array.from({ length: 20 }, () => 1));
    expect(effects).toBe(1);
  });

  test("who holds it and stops is followed by another, and learns that at the end", async () => {
    const { medium, open, warnings } = await withLanes(make);
    const frozen = await open({ agentId: "frozen" }, WITHOUT_RENEWAL);
    const other = await open({ agentId: "other" });
    const first = held<string>();
    const call = frozen.once("a", first.fn, { leaseMs: LEASE_MS });
    call.catch(() => undefined);
    await first.begun;
    await expect(other.once("a", () => "other")).rejects.toThrow(OnceInProgressError);
    await medium.pass(LATER_MS);
    expect(await other.once("a", () => "other")).toBe("other");
    first.end("first");
    await expect(call).rejects.toThrow(OnceLostError);
    expect(await frozen.once("a", () => "third")).toBe("other");
    expect(warnings).toEqual([]);
  });

  test("a function that fails after it was taken over leaves the other alone", async () => {
    const { medium, open } = await withLanes(make);
    const frozen = await open({ agentId: "frozen" }, WITHOUT_RENEWAL);
    const other = await open({ agentId: "other" });
    const first = held<Promise<string>>();
    const call = frozen.once("a", first.fn, { leaseMs: LEASE_MS });
    call.catch(() => undefined);
    await first.begun;
    await medium.pass(LATER_MS);
    const second = held<string>();
    const taken = other.once("a", second.fn);
    await second.begun;
    first.end(Promise.reject(new Error("no")));
    await expect(call).rejects.toThrow("no");
    await expect(frozen.once("a", () => "third")).rejects.toThrow(OnceInProgressError);
    second.end("second");
    expect(await taken).toBe("second");
  });

  test("the lease is renewed while the function runs, and a result ends with its time", async () => {
    const { medium, open } = await withLanes(make);
    const store = await open({ agentId: "a" });
    const other = await open({ agentId: "b" });
    const first = held<string>();
    const call = store.once("a", first.fn, { leaseMs: 3 * LEASE_MS, ttlMs: LEASE_MS });
    await first.begun;
    for (let thirds = 0; thirds < 5; thirds++) {
      await medium.pass(LEASE_MS + 50);
      await new Promise((resolve) => setTimeout(resolve, medium.name === "s3" ? 0 : LEASE_MS + 50));
      await expect(other.once("a", () => "other")).rejects.toThrow(OnceInProgressError);
    }
    first.end("first");
    expect(await call).toBe("first");
    expect(await other.once("a", () => "other")).toBe("first");
    await medium.pass(LATER_MS);
    expect(await other.once("a", () => "other")).toBe("other");
  }, 30_000);

  test("the first call takes 2 PUT, and a later one none", async () => {
    const { medium, open } = await withLanes(make);
    const meter = new CostMeter();
    const store = await open({ ...SHARED, skipLoad: true }, { meter });
    await store.set("a", 1);
    const requests = async (work: () => Promise<unknown>): Promise<string> => {
      const { put, get, list } = meter.cost.requests;
      await work();
      const now = meter.cost.requests;
      return `${now.put - put} PUT, ${now.get - get} GET, ${now.list - list} LIST`;
    };
    const of = (): Promise<unknown> => store.once("a", () => 1);
    const listed = medium.name === "directory" ? expect.any(String) : undefined;
    expect(await requests(of)).toEqual(listed ?? "2 PUT, 1 GET, 1 LIST");
    expect(await requests(of)).toEqual(listed ?? "0 PUT, 1 GET, 1 LIST");
    const other = await open({ agentId: "b", skipLoad: true }, { meter });
    expect(await requests(() => other.once("a", () => 2))).toMatch(/^0 PUT/);
  });

  test("a store that may not, or cannot yet, refuses before the function runs", async () => {
    const { open } = await setUp(make);
    const lazy = await open({ agentId: "a", skipLoad: true });
    let runs = 0;
    const run = (): number => ++runs;
    await expect(lazy.once("a", run)).rejects.toThrow(NotSupportedError);
    await (await open({ agentId: "b" })).close();
    const reader = await open({ readOnly: true });
    await expect(Promise.resolve().then(() => reader.once("a", run))).rejects.toThrow(
      ReadOnlyError,
    );
    const buffering = await open({ writeMode: "group" });
    await expect(buffering.once("a", run)).rejects.toThrow(InvalidArgumentError);
    expect(runs).toBe(0);
  });

  test("a store that is closed meanwhile says so", async () => {
    const { open } = await withLanes(make);
    const store = await open(SHARED);
    const first = held<string>();
    const call = store.once("a", first.fn);
    await first.begun;
    await store.close();
    first.end("x");
    await expect(call).rejects.toThrow(NotOpenError);
  });
}
