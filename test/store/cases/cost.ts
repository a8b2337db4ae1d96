/** stats().cost and costBudget: every request is counted for the store that sent it, and bounded. */
import { describe, expect, test } from "vitest";
import type { Cost } from "../../../src/core/cost.ts";
import { BudgetExceededError, NotOpenError } from "../../../src/core/errors.ts";
import { compact } from "../../../src/compaction/compact.ts";
import type { Store } from "../../../src/store/store.ts";
import { type MakeMedium, setUp } from "../fixture.ts";
import { watchBackend } from "../watched-backend.ts";

/** Calls of a kind, in words of `watchBackend`. On a directory a flush is an append. */
const CALLS = {
  get: /^get /,
  put: /^(put|create|append|lock) /,
  list: /^list /,
  delete: /^delete /,
};

function countCalls(calls: readonly string[]): Record<keyof typeof CALLS, number> {
  const count = (pattern: RegExp): number => calls.filter((call) => pattern.test(call)).length;
  return {
    get: count(CALLS.get),
    put: count(CALLS.put),
    list: count(CALLS.list),
    delete: count(CALLS.delete),
  };
}

function requestsOf(cost: Cost): number {
  return Object.values(cost.requests).reduce((sum, count) => sum + count, 0);
}

function costOf(store: Store<unknown>): Cost {
  return store.stats().cost;
}

export function costCases(make: MakeMedium): void {
  test("counts the requests of the store to its medium, from opening on", async () => {
    const { medium, open } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const store = await open({ backend: watched.backend });
    expect(costOf(store).requests).toMatchObject(countCalls(watched.calls));
    await store.set("a", "x".repeat(1_000));
    await store.batch(() => {
      for (let n = 0; n < 10; n++) void store.set(`r${n}`, n);
    });
    await store.refresh();
    await store.compact();
    const cost = costOf(store);
    expect(cost.requests).toMatchObject(countCalls(watched.calls));
    expect(cost.bytesOut).toBeGreaterThan(1_000);
    expect(cost.bytesIn).toBeGreaterThan(0);
    const { get, head, put, list } = cost.requests;
    expect(cost.usd).toBeCloseTo(((get + head) * 0.4 + (put + list) * 5) / 1e6, 12);
    expect(cost.roundTrips).toBeLessThanOrEqual(requestsOf(cost));
  });

  test("a write costs one put, a read of what is resident nothing", async () => {
    const { open } = await setUp(make);
    const store = await open<string>({ agentId: "a" });
    await store.set("a", "first"); // On a directory this one creates the file.
    const before = costOf(store);
    await store.set("a", "second");
    const after = costOf(store);
    expect(after.requests).toMatchObject({
      ...before.requests,
      head: expect.any(Number),
      put: before.requests.put + 1,
    });
    expect(await store.read("a")).toBe("second");
    expect(costOf(store)).toEqual(after);
    expect(await store.flush()).toBeUndefined();
    expect(costOf(store)).toEqual(after);
  });

  test("distinguishes stores over one backend, also when they work at the same time", async () => {
    const { medium, open } = await setUp(make);
    const backend = medium.backend();
    const [busy, idle] = [
      await open<number>({ backend, agentId: "busy" }),
      await open<number>({ backend, agentId: "idle", skipLoad: true, blindWrites: true }),
    ];
    const [busyBefore, idleBefore] = [costOf(busy), costOf(idle)];
    await idle.set("first", 0); // On a directory this creates its file.
    const idleFirst = costOf(idle);
    await Promise.all([
      (async () => {
        for (let n = 0; n < 20; n++) await busy.set(`b${n}`, n);
      })(),
      idle.set("i", 1),
    ]);
    expect(costOf(busy).requests.put - busyBefore.requests.put).toBeGreaterThanOrEqual(20);
    expect(costOf(idle).requests.put - idleFirst.requests.put).toBe(1);
    expect(costOf(idle).requests.list).toBe(idleBefore.requests.list);
  });

  test("starts at zero with each opening, and a closed store does not report it", async () => {
    const { medium, open } = await setUp(make);
    const store = await open<number>({ agentId: "a" });
    for (let n = 0; n < 5; n++) await store.set("a", n);
    const first = requestsOf(costOf(store));
    await store.close();
    expect(() => store.stats()).toThrow(NotOpenError);
    await store.open(medium.location, { backend: medium.backend(), skipLoad: true, agentId: "a" });
    expect(requestsOf(costOf(store))).toBeLessThan(first);
  });

  test("leaves out blob calls of the program", async () => {
    const { medium, open } = await setUp(make);
    const backend = medium.backend();
    const store = await open({ backend });
    const before = costOf(store);
    await backend.writeBlob("blobs/a", "text");
    await backend.readBlob("blobs/a");
    await backend.listBlobs("blobs");
    expect(costOf(store)).toEqual(before);
  });

  test("a warm reader pays only for what it reads itself", async () => {
    const { medium, open } = await setUp(make);
    const writer = await open<string>({ agentId: "w" });
    await writer.batch(() => {
      for (let n = 0; n < 200; n++) void writer.set(`r${n}`, "x".repeat(100));
    });
    await compact(medium.location, { backend: medium.backend() });
    const backend = medium.backend();
    const readOne = async (): Promise<number> => {
      const reader = await open<string>({ backend, readOnly: true, skipLoad: true });
      const before = costOf(reader).requests.get;
      expect(await reader.read("r7")).toHaveLength(100);
      return costOf(reader).requests.get - before;
    };
    expect(await readOne()).toBe(2);
    expect(await readOne()).toBe(0);
  });

  test("compact reports its cost, at the prices of its options", async () => {
    const { medium, open } = await setUp(make);
    const writer = await open<number>({ agentId: "w" });
    await writer.set("a", 1);
    const watched = watchBackend(medium.backend());
    const prices = { getPerMillion: 0, listPerMillion: 0, putPerMillion: 1e6 };
    const { cost } = await compact(medium.location, { backend: watched.backend, prices });
    expect(cost.requests).toMatchObject(countCalls(watched.calls));
    expect(cost.usd).toBe(cost.requests.put);
    expect(cost.bytesOut).toBeGreaterThan(0);
  });

  describe("a budget", () => {
    test("that warns does so once, and the call continues", async () => {
      const { open, warnings } = await setUp(make);
      const store = await open<number>({ agentId: "a", costBudget: { requests: 6 } });
      for (let n = 0; n < 10; n++) await store.set("a", n);
      expect(warnings).toEqual([
        expect.stringMatching(/^costBudget is exceeded by .*: requests: 7 of at most 6$/),
      ]);
      expect(await store.read("a")).toBe(9);
    });

    test("that throws refuses the write before anything is sent, and loses nothing", async () => {
      const { medium, open, entries } = await setUp(make);
      const watched = watchBackend(medium.backend());
      const probe = await open<number>({ agentId: "probe" });
      await probe.set("a", 0);
      const store = await open<number>({
        backend: watched.backend,
        agentId: "a",
        costBudget: { requests: 12, onBreach: "throw" },
        checkpointOnClose: false,
      });
      let acknowledged = 0;
      const write = async (): Promise<void> => {
        for (let n = 1; n <= 20; n++) {
          await store.set("a", n);
          acknowledged = n;
        }
      };
      const failure = await write().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(BudgetExceededError);
      expect(failure).toMatchObject({ code: "BUDGET_EXCEEDED", action: "fix-call" });
      expect(acknowledged).toBeGreaterThan(0);
      expect(store.get("a")).toBe(acknowledged);
      const sent = watched.calls.length;
      await expect(store.set("b", 1)).rejects.toThrow(BudgetExceededError);
      await expect(store.refresh()).rejects.toThrow(BudgetExceededError);
      expect([watched.calls.length, store.has("b")]).toEqual([sent, false]);
      await store.close();
      expect(await entries()).toEqual([["a", acknowledged]]);
    });

    test("leaves what was acknowledged, wherever it ends, and nothing unknown", async () => {
      const { open, entries } = await setUp(make);
      await (await open<number>()).close();
      let acknowledged = 0;
      let refusals = 0;
      for (let requests = 4; requests <= 30; requests++) {
        const costBudget = { requests, onBreach: "throw" } as const;
        const work = async (): Promise<void> => {
          const store = await open<number>({ costBudget, checkpointOnClose: false });
          try {
            for (let n = 0; n < 3; n++) {
              await store.set("a", acknowledged + 1);
              acknowledged++;
            }
            await store.compact();
          } finally {
            await store.close();
          }
        };
        await work().catch((error: unknown) => {
          expect(error, `with ${requests} requests`).toBeInstanceOf(BudgetExceededError);
          refusals++;
        });
        expect(await entries(), `with ${requests} requests`).toEqual(
          acknowledged === 0 ? [] : [["a", acknowledged]],
        );
      }
      expect(refusals).toBeGreaterThan(5);
      expect(acknowledged).toBeGreaterThan(5);
    });

    test("does not keep a single writer from giving its lock back", async () => {
      const { open, entries } = await setUp(make);
      const store = await open<number>({ costBudget: { requests: 20, onBreach: "throw" } });
      let acknowledged = 0;
      const write = async (): Promise<void> => {
        for (let n = 1; n <= 40; n++) {
          await store.set("a", n);
          acknowledged = n;
        }
      };
      await expect(write()).rejects.toThrow(BudgetExceededError);
      // The checkpoint on close is too dear as well; everything is given back all the same.
      await expect(store.close()).rejects.toThrow(BudgetExceededError);
      const next = await open<number>();
      expect(next.get("a")).toBe(acknowledged);
      await next.close();
      expect(await entries()).toEqual([["a", acknowledged]]);
    });

    test("refuses the opening itself, which leaves nothing locked", async () => {
      const { open } = await setUp(make);
      await (await open<number>()).close();
      const costBudget = { requests: 3, onBreach: "throw" } as const;
      await expect(open<number>({ costBudget })).rejects.toThrow(BudgetExceededError);
      await expect(
        open<number>({ costBudget: { requests: 0, onBreach: "throw" } }),
      ).rejects.toThrow(BudgetExceededError);
      await open<number>();
    });

    test("of a store does not fail the reads of another that waits for the same bytes", async () => {
      const { medium, open } = await setUp(make);
      const writer = await open<string>({ agentId: "w" });
      await writer.set("r", "x");
      await compact(medium.location, { backend: medium.backend() });
      const backend = medium.backend();
      const options = { backend, readOnly: true, skipLoad: true };
      const opening = requestsOf(costOf(await open(options)));
      const poor = await open({ ...options, costBudget: { requests: opening, onBreach: "throw" } });
      const rich = await open<string>(options);
      const reads = await Promise.allSettled([poor.read("r"), rich.read("r")]);
      expect(reads).toMatchObject([
        { status: "rejected", reason: expect.any(BudgetExceededError) },
        { status: "fulfilled", value: "x" },
      ]);
    });

    test.each([
      [{ usd: 0.000_05 }, "usd: "],
      [{ bytesIn: 1 }, "bytesIn: "],
    ])("%j is held as well", async (limits, reason) => {
      const { open } = await setUp(make);
      const writer = await open<number>({ agentId: "w" });
      await writer.set("a", 1);
      const costBudget = { ...limits, onBreach: "throw" } as const;
      const write = async (): Promise<void> => {
        const store = await open<number>({ agentId: "a", costBudget, checkpointOnClose: false });
        for (let n = 0; n < 40; n++) await store.set("a", n);
      };
      await expect(write()).rejects.toThrow(reason);
    });
  });
}
