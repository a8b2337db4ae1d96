/** Writes with a condition, and updates that are exact beside other processes. */
import { describe, expect, test } from "vitest";
import {
  ConditionFailedError,
  ConflictError,
  InvalidArgumentError,
  NotSupportedError,
  ReadOnlyError,
} from "../../../src/core/errors.ts";
import type { Store } from "../../../src/store/store.ts";
import { settledIn } from "../../support/settled.ts";
import { type MakeMedium, setUp } from "../fixture.ts";
import { watchBackend } from "../watched-backend.ts";

/** Short enough for many conflicts, long enough for a slow machine. */
const DEADLINE_MS = 60_000;

const plus = (by: number) => (current: number | undefined) => (current ?? 0) + by;

export function conditionalCases(make: MakeMedium): void {
  describe.each([
    ["one process alone", {}],
    ["several processes, eager", { agentId: "a" }],
    ["several processes, lazy", { agentId: "a", skipLoad: true }],
  ] as const)("conditions: %s", (_name, options) => {
    test("ifVersion replaces exactly that version, and returns the next one", async () => {
      const { open, entries } = await setUp(make);
      await (await open({ agentId: "first" })).close();
      const store = await open<number>(options);
      await store.set("a", 1);
      const first = await store.versionOf("a");
      const { version } = await store.set("a", 2, { ifVersion: first });
      expect(version).toBe(await store.versionOf("a"));
      expect(version).not.toBe(first);
      const { version: third } = await store.set("a", 3, { ifVersion: version });
      expect(store.get("a")).toBe(3);
      await store.delete("a", { ifVersion: third });
      expect(await store.versionOf("a")).toBeUndefined();
      expect(await entries()).toEqual([]);
    });

    test("a version that is not the record's any more is refused, with what is there", async () => {
      const { open, entries } = await setUp(make);
      await (await open({ agentId: "first" })).close();
      const store = await open<{ n: number }>(options);
      await store.set("a", { n: 1 });
      const old = await store.versionOf("a");
      await store.set("a", { n: 2 });
      const found = await store.versionOf("a");
      for (const call of [
        () => store.set("a", { n: 3 }, { ifVersion: old }),
        () => store.delete("a", { ifVersion: old }),
        () => store.set("a", { n: 3 }, { ifAbsent: true }),
      ]) {
        const error = await call().then(
          () => undefined,
          (reason: unknown) => reason,
        );
        expect(error).toBeInstanceOf(ConditionFailedError);
        expect(error).toMatchObject({ id: "a", code: "CONDITION_FAILED", found });
        expect(error).toHaveProperty("value", { n: 2 });
        expect(JSON.stringify(error)).not.toContain('"n"');
      }
      expect(await entries()).toEqual([["a", { n: 2 }]]);
      await store.delete("a");
      const {
        rejected: [gone],
      } = await settledIn([store.set("a", { n: 4 }, { ifVersion: found })]);
      expect(gone).toMatchObject({ code: "CONDITION_FAILED", expected: found });
      expect(gone).not.toHaveProperty("found");
    });

    test("ifAbsent creates, also what was deleted", async () => {
      const { open, entries } = await setUp(make);
      await (await open({ agentId: "first" })).close();
      const store = await open<number>(options);
      const { version } = await store.set("a", 1, { ifAbsent: true });
      await store.delete("a", { ifVersion: version });
      const { version: second } = await store.set("a", 2, { ifAbsent: true });
      await expect(store.set("a", 3, { ifAbsent: true })).rejects.toThrow(ConditionFailedError);
      await store.set("a", 4, { ifVersion: second });
      await store.set("a", 5);
      await expect(store.delete("a", { ifVersion: second })).rejects.toThrow(ConditionFailedError);
      expect(await entries()).toEqual([["a", 5]]);
    });

    test("a condition that is none is refused before anything changes", async () => {
      const { open, entries } = await setUp(make);
      await (await open({ agentId: "first" })).close();
      const store = await open<number>(options);
      await store.set("a", 1);
      const version = (await store.versionOf("a")) ?? "";
      const other = await store.set("b", 1, { ifAbsent: true });
      for (const refused of [
        {},
        { ifVersion: undefined },
        { ifVersion: "no version" },
        { ifVersion: 7 },
        { ifVersion: other.version },
        { ifVersion: version, ifAbsent: true },
        { ifAbsent: false },
        { ifAbsent: "yes" },
        { ifVersion: version, fresh: 1 },
        { ifMatch: version },
        null,
      ]) {
        await expect(
          Promise.resolve().then(() => store.set("a", 2, refused as never)),
          JSON.stringify(refused),
        ).rejects.toThrow(InvalidArgumentError);
      }
      await expect(store.delete("a", { ifAbsent: true } as never)).rejects.toThrow(
        InvalidArgumentError,
      );
      for (const call of [
        () => store.set("a", 2, { ifVersion: version }),
        () => store.delete("a", { ifVersion: version }),
        () => store.update("a", plus(1)),
      ]) {
        const batch = store.batch(() => {
          void store.set("c", 9);
          void call();
        });
        await expect(batch).rejects.toThrow(/cannot be part of a batch/);
      }
      expect(Object.fromEntries(await entries())).toEqual({ a: 1, b: 1 });
    });
  });

  test("of 20 processes that create a record one succeeds", async () => {
    const { open, entries } = await setUp(make);
    await (await open()).close();
    const stores = await openMany(open, 20);
    const { fulfilled, rejected } = await settledIn(
      stores.map((store, n) => store.set("a", n, { ifAbsent: true })),
    );
    expect(fulfilled).toHaveLength(1);
    expect(rejected.every((error) => error instanceof ConditionFailedError)).toBe(true);
    expect(await entries()).toHaveLength(1);
  });

  test("of 20 processes with one version one succeeds", async () => {
    const { open } = await setUp(make);
    const first = await open<number>({ agentId: "first" });
    await first.set("a", -1);
    const ifVersion = await first.versionOf("a");
    const stores = await openMany(open, 20);
    const { fulfilled, rejected } = await settledIn(
      stores.map((store, n) => store.set("a", n, { ifVersion })),
    );
    expect(fulfilled).toHaveLength(1);
    expect(rejected.every((error) => error instanceof ConditionFailedError)).toBe(true);
  });

  test("20 processes that each add 5 times add 100", async () => {
    const { open, entries } = await setUp(make);
    await (await open()).close();
    const stores = await openMany(open, 20);
    await Promise.all(
      stores.map(async (store) => {
        for (let left = 5; left > 0; left--) {
          await store.update("n", plus(1), { deadlineMs: DEADLINE_MS });
        }
      }),
    );
    expect(await entries()).toEqual([["n", 100]]);
  });

  test("updates of one process that wait at the same time share a claim", async () => {
    const { medium, open, entries } = await setUp(make);
    await (await open()).close();
    const watched = watchBackend(medium.backend());
    const store = await open<number>({ agentId: "a", backend: watched.backend });
    watched.calls.length = 0;
    const results = await Promise.all(Array.from({ length: 64 }, () => store.update("n", plus(1))));
    expect(results.toSorted((a, b) => (a ?? 0) - (b ?? 0))).toEqual(
      Array.from({ length: 64 }, (_, at) => at + 1),
    );
    expect(watched.calls.filter((call) => call.startsWith("put"))).toHaveLength(1);
    expect(await entries()).toEqual([["n", 64]]);
  });

  test("a lookup in a lane with many claims reads one of them, and at most one more", async () => {
    const { medium, open } = await setUp(make);
    await (await open()).close();
    const writers = await openMany(open, 3);
    const ids = Array.from({ length: 8 }, (_, at) => `{hot}-${at}`);
    for (let n = 1; n <= 40; n++) {
      const id = ids[(n * 5) % ids.length] ?? "";
      await writers[n % writers.length]?.update(id, plus(1));
    }
    const watched = watchBackend(medium.backend());
    for (const id of [...ids, "{hot}-none"]) {
      const backend = watched.backend;
      const reader = await open<number>({ readOnly: true, skipLoad: true, backend });
      watched.calls.length = 0;
      expect(await reader.read(id)).toBe(ids.includes(id) ? 5 : undefined);
      const claims = watched.calls.filter((call) => /^get ops\/.+\/lane-/.test(call));
      expect(claims.length).toBeGreaterThan(0);
      expect(claims.length).toBeLessThanOrEqual(ids.includes(id) ? 2 : 1);
      await reader.close();
    }
  });

  test("a claim outlives compactions, and what is merged of it is what was written", async () => {
    const { open, entries } = await setUp(make);
    const store = await open<number>({ agentId: "a" });
    const other = await open<number>({ agentId: "b", skipLoad: true });
    let { version } = await store.set("a", 1, { ifAbsent: true });
    await other.compact();
    ({ version } = await other.set("a", 2, { ifVersion: version }));
    await store.compact();
    ({ version } = await store.set("a", 3, { ifVersion: version }));
    await other.set("b", 1);
    await store.compact();
    await expect(store.set("a", 4, { ifAbsent: true })).rejects.toThrow(ConditionFailedError);
    await store.delete("a", { ifVersion: version });
    await other.compact();
    expect(await entries()).toEqual([["b", 1]]);
    await other.set("a", 5, { ifAbsent: true });
    expect(new Map(await entries())).toEqual(new Map(Object.entries({ a: 5, b: 1 })));
  });

  test("a plain write that a conditional one did not see is not buried by it", async () => {
    const { open, entries } = await setUp(make);
    const store = await open<number>({ agentId: "a" });
    const other = await open<number>({ agentId: "b" });
    const { version } = await store.set("a", 1, { ifAbsent: true });
    await other.set("a", 2);
    await expect(store.set("a", 3, { ifVersion: version })).rejects.toThrow(ConditionFailedError);
    // Decided in a view from before the plain write: both count, and the plain one is the later one.
    const stale = await store.set("b", 1, { ifAbsent: true });
    await other.set("b", 2);
    await store.set("b", 3, { ifVersion: stale.version, fresh: false }).catch(() => undefined);
    expect(Object.fromEntries(await entries())).toEqual({ a: 2, b: 2 });
  });

  test("a store that is new has lanes at once, also for whoever made it", async () => {
    const { medium, open, entries } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const [maker, other] = [
      await open<number>({ agentId: "a", backend: watched.backend }),
      await open<number>({ agentId: "b" }),
    ];
    // Both have seen that there is no record.
    watched.delay = async () => {
      watched.delay = undefined;
      await other.update("n", plus(1));
    };
    await maker.update("n", plus(1));
    expect(await entries()).toEqual([["n", 2]]);
    const third = await open<number>({ agentId: "c" });
    await third.set("m", 1, { ifAbsent: true, fresh: false });
    expect((await entries()).length).toBe(2);
  });

  test("an update that others outrun until its deadline has written nothing", async () => {
    const { medium, open, entries } = await setUp(make);
    const rival = await open<number>({ agentId: "b" });
    await rival.set("n", 0, { ifAbsent: true });
    const watched = watchBackend(medium.backend());
    const store = await open<number>({ agentId: "c", backend: watched.backend });
    // Each attempt meets a claim that was made after its look.
    watched.delay = async () => void (await rival.update("n", plus(1)));
    let rounds = 0;
    const racing = store.update(
      "n",
      (current = 0) => {
        rounds++;
        return current + 1_000;
      },
      { deadlineMs: 200 },
    );
    await expect(racing).rejects.toThrow(ConflictError);
    await expect(racing).rejects.toMatchObject({ id: "n", action: "retry" });
    expect(rounds).toBeGreaterThan(0);
    expect(await entries()).toEqual([["n", rounds]]);
    // Nothing of it is left that lands later, or stands in the way.
    watched.delay = undefined;
    expect(await store.update("n", plus(1_000))).toBe(rounds + 1_000);
    expect(await entries()).toEqual([["n", rounds + 1_000]]);
  });

  test("undo of a conditional write is conditional, too", async () => {
    const { open, entries } = await setUp(make);
    const store = await open<number>({ agentId: "a" });
    const other = await open<number>({ agentId: "b" });
    const { version } = await store.set("a", 1, { ifAbsent: true });
    await store.set("a", 2, { ifVersion: version });
    expect(await store.undo()).toBe(true);
    expect(await entries()).toEqual([["a", 1]]);
    expect(await store.undo()).toBe(true);
    expect(await entries()).toEqual([]);
    await store.set("a", 3, { ifAbsent: true });
    await other.update("a", plus(1));
    expect(await store.undo()).toBe(false);
    expect(await entries()).toEqual([["a", 4]]);
  });

  test("a read-only store refuses, and so does one that buffers", async () => {
    const { open } = await setUp(make);
    await (await open({ agentId: "a" })).close();
    const reader = await open<number>({ readOnly: true });
    await expect(
      Promise.resolve().then(() => reader.set("a", 1, { ifAbsent: true })),
    ).rejects.toThrow(ReadOnlyError);
    const store = await open<number>({ writeMode: "group" });
    await expect(store.set("a", 1, { ifAbsent: true })).rejects.toThrow(InvalidArgumentError);
    await expect(store.update("a", plus(1), { atomic: true })).rejects.toThrow(
      InvalidArgumentError,
    );
    expect(await store.update("a", plus(1))).toBe(1);
  });

  test("without lanes updates are not atomic, with a warning, and conditions are refused", async () => {
    const { open, entries, warnings } = await setUp(make);
    // A lazy writer publishes no manifest.
    const store = await open<number>({ agentId: "a", skipLoad: true });
    await expect(store.set("a", 1, { ifAbsent: true })).rejects.toThrow(NotSupportedError);
    await expect(store.set("a", 1, { ifAbsent: true })).rejects.toThrow(/compact/);
    expect(await store.update("a", plus(1))).toBe(1);
    expect(await store.update("a", plus(1))).toBe(2);
    expect(warnings.filter((warning) => warning.includes("atomic"))).toHaveLength(1);
    await store.compact();
    const { version } = await store.set("b", 1, { ifAbsent: true });
    await store.set("b", 2, { ifVersion: version });
    expect(await entries()).toEqual([
      ["a", 2],
      ["b", 2],
    ]);
  });

  test("update passes on what its function throws, and refuses an async one", async () => {
    const { open, entries } = await setUp(make);
    const store = await open<number>({ agentId: "a" });
    await store.set("n", 1);
    const failure = new Error("no");
    const failing = store.update("n", () => {
      throw failure;
    });
    await expect(failing).rejects.toBe(failure);
    const asynchronous: unknown = async () => 1;
    const refused = store.update("n", asynchronous as () => number);
    await expect(refused).rejects.toThrow(InvalidArgumentError);
    for (const options of [{ deadlineMs: 0 }, { atomic: "yes" }, { fresh: 1 }, { retries: 1 }]) {
      await expect(store.update("n", plus(1), options as never)).rejects.toThrow(
        InvalidArgumentError,
      );
    }
    expect(await entries()).toEqual([["n", 1]]);
  });
}

type Open = <T>(options: { agentId: string; skipLoad: boolean }) => Promise<Store<T>>;

function openMany(open: Open, count: number): Promise<Store<number>[]> {
  return Promise.all(
    Array.from({ length: count }, (_, n) =>
      open<number>({ agentId: `agent-${n}`, skipLoad: n % 2 === 0 }),
    ),
  );
}
