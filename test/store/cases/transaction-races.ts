/** Transactions that meet others, and those of processes that die. */
import { expect, test } from "vitest";
import {
  ConflictError,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "../../../src/core/errors.ts";
import type { StorageBackend } from "../../../src/storage/backend.ts";
import { idOf } from "../../support/claims.ts";
import { settledIn } from "../../support/settled.ts";
import { type MakeMedium, setUp } from "../fixture.ts";

/** In two lanes, and another one of the first. */
const [A, B, C] = [idOf(0x3f), idOf(0xc0), idOf(0x3f, 1)];
const DEADLINE_MS = 120_000;

/** @param onPut called before each PUT: what it throws is what the PUT fails with */
function intercepted(
  inner: StorageBackend,
  onPut: (path: string) => Promise<void> | void,
): StorageBackend {
  return new Proxy(inner, {
    get: (_, name) => {
      const value: unknown = Reflect.get(inner, name, inner);
      if (typeof value !== "function") return value;
      if (name !== "put") return value.bind(inner);
      return async (...args: unknown[]): Promise<unknown> => {
        await onPut(String(args[0]));
        return Reflect.apply(value, inner, args);
      };
    },
  });
}

function isTransaction(path: string): boolean {
  return path.includes("/txn-");
}

/** Dies when its intents are in place: it neither commits nor aborts. */
function mortal(inner: StorageBackend): StorageBackend {
  return intercepted(inner, (path) => {
    if (isTransaction(path)) throw new UnavailableError("dead");
  });
}

export function transactionRaceCases(make: MakeMedium): void {
  test("of two that read what the other writes one begins again", async () => {
    const { open, entries } = await setUp(make);
    const stores = [await open<number>({ agentId: "a" }), await open<number>({ agentId: "b" })];
    await stores[0]?.transaction((tx) => {
      tx.set(A, 1);
      tx.set(B, 1);
    });
    // Each may go off duty while the other is on.
    let runs = 0;
    const both = meeting(2);
    await Promise.all(
      stores.map((store, at) =>
        store.transaction(
          async (tx) => {
            runs++;
            const onDuty = ((await tx.get(A)) ?? 0) + ((await tx.get(B)) ?? 0);
            await both.arrive();
            if (onDuty > 1) tx.set(at === 0 ? A : B, 0);
          },
          { deadlineMs: DEADLINE_MS },
        ),
      ),
    );
    const sum = (await entries()).reduce((total, [, value]) => total + Number(value), 0);
    expect(sum).toBe(1);
    expect(runs).toBeGreaterThan(2);
  });

  test("what it has read is as of one moment, and its reads are never half of another's writes", async () => {
    const { open } = await setUp(make);
    const reader = await open<number>({ agentId: "a", skipLoad: true });
    const writer = await open<number>({ agentId: "b" });
    await writer.transaction((tx) => {
      tx.set(A, 1);
      tx.set(B, 1);
    });
    const seen: unknown[] = [];
    const sum = await reader.transaction(async (tx) => {
      const a = await tx.get(A);
      if (seen.length === 0) {
        seen.push(a);
        await writer.transaction((other) => {
          other.set(A, 2);
          other.set(B, 2);
        });
        await reader.refresh();
      }
      const b = await tx.get(B);
      seen.push(a, b);
      return (a ?? 0) + (b ?? 0);
    });
    expect(sum).toBe(4);
    expect(seen).toEqual([1, 2, 2]);
  });

  test("the sum of accounts holds in every transaction that reads them", async () => {
    const { open, entries } = await setUp(make);
    const first = await open<number>({ agentId: "first" });
    const accounts = Array.from({ length: 6 }, (_, n) => `account-${n}`);
    await first.transaction((tx) => accounts.forEach((id) => tx.set(id, 100)));
    const stores = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        open<number>({ agentId: `agent-${n}`, skipLoad: n % 2 === 0 }),
      ),
    );
    const limits = { deadlineMs: DEADLINE_MS };
    await Promise.all(
      stores.map(async (store, n) => {
        const [from = "", to = ""] = [accounts[n % 6], accounts[(n * 5 + 1) % 6]];
        await store.transaction(async (tx) => {
          const all = await tx.getMany(accounts);
          expect([...all.values()].reduce((sum, one) => sum + one, 0)).toBe(600);
        }, limits);
        if (from === to) return;
        await store.transaction(async (tx) => {
          const found = await tx.getMany([from, to]);
          tx.set(from, (found.get(from) ?? 0) - 7);
          tx.set(to, (found.get(to) ?? 0) + 7);
        }, limits);
        if (n === 7) await store.compact();
      }),
    );
    const found = await entries();
    expect(found).toHaveLength(6);
    expect(found.reduce((sum, [, value]) => sum + Number(value), 0)).toBe(600);
    await first.compact();
    expect(new Map(await entries())).toEqual(new Map(found));
  }, 300_000);

  test("one whose process died is ended by who needs its records, and by nobody else", async () => {
    const { medium, open, entries } = await setUp(make);
    const store = await open<number>({ agentId: "a", skipLoad: true });
    await (await open({ agentId: "first" })).close();
    await store.transaction((tx) => {
      tx.set(A, 1);
      tx.set(B, 1);
    });
    const dying = await open<number>({ agentId: "b", backend: mortal(medium.backend()) });
    const { rejected } = await settledIn([
      dying.transaction(async (tx) => {
        tx.set(A, ((await tx.get(A)) ?? 0) + 10);
        tx.set(B, ((await tx.get(B)) ?? 0) + 10);
      }),
    ]);
    expect(rejected).toHaveLength(1);
    expect(rejected[0]).toBeInstanceOf(UnavailableError);
    // Others of the lane do not wait for it.
    await store.update(C, () => 5, { deadlineMs: 500 });
    await expect(store.update(A, () => 9, { deadlineMs: 100 })).rejects.toThrow(ConflictError);
    expect(await store.update(A, (now = 0) => now + 1, { deadlineMs: DEADLINE_MS })).toBe(2);
    await store.transaction(async (tx) => tx.set(B, ((await tx.get(B)) ?? 0) + 1));
    expect(new Map(await entries())).toEqual(
      new Map([
        [A, 2],
        [B, 2],
        [C, 5],
      ]),
    );
    await store.compact();
    expect(await entries()).toHaveLength(3);
  });

  test("patience is what the caller has", async () => {
    const { medium, open, entries } = await setUp(make);
    await (await open({ agentId: "first" })).close();
    const dying = await open<number>({ agentId: "b", backend: mortal(medium.backend()) });
    await settledIn([
      dying.transaction((tx) => {
        tx.set(A, 1);
        tx.set(B, 1);
      }),
    ]);
    const store = await open<number>({ agentId: "a" });
    // By its name it is later, so it does not go first.
    await medium.pass(1_100);
    const set = store.transaction((tx) => tx.set(A, 2), { patienceMs: 5_000, deadlineMs: 200 });
    await expect(set).rejects.toThrow(ConflictError);
    await store.transaction((tx) => tx.set(A, 2), { patienceMs: 1, deadlineMs: 30_000 });
    expect(await entries()).toEqual([[A, 2]]);
  });

  test("one that was ended by another begins again", async () => {
    const { medium, open, entries } = await setUp(make);
    await (await open({ agentId: "first" })).close();
    const rival = await open<number>({ agentId: "b", skipLoad: true });
    let commits = 0;
    const backend = intercepted(medium.backend(), async (path) => {
      if (!isTransaction(path) || commits++ > 0) return;
      await rival.transaction((tx) => tx.set(A, 100), { patienceMs: 1 });
    });
    const slow = await open<number>({ agentId: "a", backend });
    let runs = 0;
    await slow.transaction(async (tx) => {
      runs++;
      const [a = 0, b = 0] = [await tx.get(A), await tx.get(B)];
      tx.set(A, a + 1);
      tx.set(B, b + 1);
    });
    expect(runs).toBe(2);
    expect(new Map(await entries())).toEqual(
      new Map([
        [A, 101],
        [B, 1],
      ]),
    );
  });

  test("an intent of unknown outcome ends the attempt, and nothing is written", async () => {
    const { medium, open, entries } = await setUp(make);
    await (await open({ agentId: "first" })).close();
    let isBroken = true;
    const backend = intercepted(medium.backend(), (path) => {
      if (isBroken && path.includes("/lane-c0/")) throw new WriteOutcomeUnknownError("lost");
    });
    const store = await open<number>({ agentId: "a", backend });
    const write = (): Promise<void> =>
      store.transaction((tx) => {
        tx.set(A, 1);
        tx.set(B, 1);
      });
    await expect(write()).rejects.toThrow(UnavailableError);
    await expect(write()).rejects.toThrow(/nothing was written/);
    expect(await entries()).toEqual([]);
    isBroken = false;
    await write();
    expect(await entries()).toHaveLength(2);
  });

  test("a commit of unknown outcome can be settled", async () => {
    const { medium, open, entries } = await setUp(make);
    await (await open({ agentId: "first" })).close();
    let isBroken = true;
    const backend = intercepted(medium.backend(), (path) => {
      if (isBroken && isTransaction(path)) throw new WriteOutcomeUnknownError("lost");
    });
    const store = await open<number>({ agentId: "a", backend });
    const unknown = async (): Promise<WriteOutcomeUnknownError> => {
      const {
        rejected: [error],
      } = await settledIn([
        store.transaction(
          (tx) => {
            tx.set(A, 1);
            tx.set(B, 1);
          },
          { patienceMs: 1 },
        ),
      ]);
      if (error instanceof WriteOutcomeUnknownError) return error;
      throw error;
    };
    const first = await unknown();
    expect(await entries()).toEqual([]);
    isBroken = false;
    expect(await first.settle?.()).toBe("written");
    expect(await first.settle?.()).toBe("written");
    expect(await entries()).toHaveLength(2);
    isBroken = true;
    const second = await unknown();
    isBroken = false;
    const other = await open<number>({ agentId: "b" });
    await other.transaction((tx) => tx.set(B, 5), { patienceMs: 1 });
    expect(await second.settle?.()).toBe("nothing");
    expect(new Map(await entries())).toEqual(
      new Map([
        [A, 1],
        [B, 5],
      ]),
    );
  });

  test("one that was open below what was read since is seen once it is decided", async () => {
    const { medium, open } = await setUp(make);
    const other = await open<number>({ agentId: "b" });
    const lazy = await open<number>({ agentId: "c", skipLoad: true });
    expect(await lazy.readMany([A, B])).toEqual(new Map());
    let commits = 0;
    const backend = intercepted(medium.backend(), async (path) => {
      if (!isTransaction(path) || commits++ > 0) return;
      for (let round = 0; round < 2; round++) {
        await other.update(C, (now = 0) => now + 1);
        await lazy.refresh();
      }
    });
    const slow = await open<number>({ agentId: "a", backend });
    await slow.transaction((tx) => {
      tx.set(A, 1);
      tx.set(B, 1);
    });
    expect(commits).toBe(1);
    await lazy.refresh();
    expect(await lazy.readMany([A, B])).toHaveProperty("size", 2);
  });
}

/** Resolves once so many have arrived, then for all that come. */
function meeting(count: number): { arrive(): Promise<void> } {
  let resolve = (): void => {};
  const all = new Promise<void>((done) => {
    resolve = done;
  });
  let arrived = 0;
  return {
    arrive: () => {
      if (++arrived >= count) resolve();
      return all;
    },
  };
}
