/** Transactions over several records, of one lane and of more. */
import { describe, expect, test } from "vitest";
import {
  ConflictError,
  InvalidArgumentError,
  NotSupportedError,
  ReadOnlyError,
} from "../../../src/core/errors.ts";
import { laneOf } from "../../../src/core/lane.ts";
import { idOf } from "../../support/claims.ts";
import { type MakeMedium, setUp } from "../fixture.ts";
import { watchBackend } from "../watched-backend.ts";

/** In two lanes, and another one of the first. */
const [A, B, C] = [idOf(0x3f), idOf(0xc0), idOf(0x3f, 1)];
const DEADLINE_MS = 120_000;

export function transactionCases(make: MakeMedium): void {
  describe.each([
    ["one process alone", {}],
    ["several processes, eager", { agentId: "a" }],
    ["several processes, lazy", { agentId: "a", skipLoad: true }],
  ] as const)("%s", (_name, options) => {
    test("reads and writes any records, whole or not at all", async () => {
      const { open, entries } = await setUp(make);
      await (await open({ agentId: "first" })).close();
      const store = await open<number>(options);
      await store.set(A, 1);
      const result = await store.transaction(async (tx) => {
        expect(await tx.get(A)).toBe(1);
        expect(await tx.get(B)).toBeUndefined();
        tx.set(B, 5);
        tx.set(A, 2);
        tx.delete(C);
        expect(await tx.getMany([A, B, C])).toEqual(
          new Map([
            [A, 2],
            [B, 5],
          ]),
        );
        tx.set(A, 3);
        return "done";
      });
      expect(result).toBe("done");
      expect([store.get(A), store.get(B)]).toEqual([3, 5]);
      await store.transaction((tx) => tx.delete(B));
      expect(await entries()).toEqual([[A, 3]]);
      const failure = new Error("no");
      const failing = store.transaction(async (tx) => {
        tx.set(A, 9);
        tx.set(B, (await tx.get(A)) ?? 0);
        throw failure;
      });
      await expect(failing).rejects.toBe(failure);
      expect(await store.transaction((tx) => tx.get(A))).toBe(3);
      expect(await store.transaction((tx) => tx.getMany([A, B, C]))).toEqual(new Map([[A, 3]]));
      expect(await store.transaction(() => 7)).toBe(7);
      expect(await entries()).toEqual([[A, 3]]);
    });

    test("undo takes its operations back, and history shows them", async () => {
      const { open, entries } = await setUp(make);
      await (await open({ agentId: "first" })).close();
      const store = await open<number>(options);
      await store.set(A, 1);
      await store.transaction((tx) => {
        tx.set(A, 2);
        tx.set(B, 2);
      });
      expect(store.getHistory(A).map(({ data }) => data)).toEqual([1, 2]);
      expect(store.getHistory(B)).toMatchObject([{ op: "set", data: 2, prev: null }]);
      await store.refresh();
      expect(store.getOps()).toHaveLength(3);
      expect(await store.undo()).toBe(true);
      expect(await store.undo()).toBe(true);
      expect(await entries()).toEqual([[A, 1]]);
    });

    test("what it cannot do is refused, and nothing is written", async () => {
      const { open, entries } = await setUp(make);
      await (await open({ agentId: "first" })).close();
      const store = await open(options);
      await store.set(A, 1);
      const { set } = await store.transaction(async (tx) => {
        await tx.get(A);
        return tx;
      });
      expect(() => set(A, 2)).toThrow(/has ended/);
      const refused: (() => Promise<unknown>)[] = [
        () => store.transaction((tx) => store.set(B, tx)),
        () => store.transaction(() => store.delete(A)),
        () => store.transaction(() => store.update(A, () => 2)),
        () => store.transaction(() => store.transaction((tx) => tx.set(A, 2))),
        () => store.transaction(() => store.undo()),
        () => store.transaction((tx) => tx.get("")),
        () => store.transaction((tx) => tx.set(A, undefined)),
        () => store.transaction((tx) => tx.set(7 as never, 1)),
        () =>
          store.transaction((tx) => tx.getMany(Array.from({ length: 65 }, (_, n) => `id-${n}`))),
        () =>
          store.transaction((tx) => {
            for (let n = 0; n < 65; n++) tx.set(`id-${n}`, n);
          }),
        () => store.transaction((tx) => tx.set(A, "x".repeat(8 * 1024 * 1024))),
        () => store.transaction("no" as never),
        () => store.transaction(() => 1, { deadlineMs: 0 }),
        () => store.transaction(() => 1, { patienceMs: -1 }),
        () => store.transaction(() => 1, { retries: 1 } as never),
        () => store.batch(() => void store.transaction((tx) => tx.set(A, 2))),
      ];
      for (const [at, call] of refused.entries()) {
        await expect(Promise.resolve().then(call), `call ${at}`).rejects.toThrow(
          InvalidArgumentError,
        );
      }
      expect(await entries()).toEqual([[A, 1]]);
      await store.transaction((tx) => {
        for (let n = 0; n < 64; n++) tx.set(`id-${n}`, n);
      });
      expect(await entries()).toHaveLength(65);
    });

    test("a function that does not end in time has written nothing", async () => {
      const { open, entries } = await setUp(make);
      await (await open({ agentId: "first" })).close();
      const store = await open<number>(options);
      const endless = store.transaction(
        (tx) => {
          tx.set(A, 1);
          return new Promise<void>(() => {});
        },
        { deadlineMs: 50 },
      );
      await expect(endless).rejects.toThrow(ConflictError);
      await store.transaction((tx) => tx.set(B, 1));
      expect(await entries()).toEqual([[B, 1]]);
    });

    test("transactions of one process that meet all count", async () => {
      const { open, entries } = await setUp(make);
      await (await open({ agentId: "first" })).close();
      const store = await open<number>(options);
      await Promise.all(
        Array.from({ length: 10 }, () =>
          store.transaction(
            async (tx) => {
              tx.set(A, ((await tx.get(A)) ?? 0) + 1);
              tx.set(B, ((await tx.get(B)) ?? 0) - 1);
            },
            { deadlineMs: DEADLINE_MS },
          ),
        ),
      );
      expect(new Map(await entries())).toEqual(
        new Map([
          [A, 10],
          [B, -10],
        ]),
      );
    });
  });

  test("over k lanes it takes k + 1 PUT in two phases, in one lane one", async () => {
    const { medium, open, entries } = await setUp(make);
    await (await open()).close();
    const { backend, calls } = watchBackend(medium.backend());
    const store = await open<number>({ agentId: "a", backend });
    const puts = (): string[] => calls.splice(0).filter((call) => call.startsWith("put ops/"));
    puts();
    await store.transaction(async (tx) => {
      await tx.get(C);
      tx.set(A, 1);
      tx.set(B, 1);
    });
    const made = puts();
    expect(made).toHaveLength(3);
    expect(made.map((call) => call.includes("/lane-"))).toEqual([true, true, false]);
    await store.transaction(async (tx) => {
      await tx.get(C);
      tx.set(A, 2);
    });
    expect(puts()).toHaveLength(1);
    const [tagged, other] = ["order-{7}", "line-{7}-1"];
    expect(laneOf(tagged)).toBe(laneOf(other));
    await store.transaction((tx) => {
      tx.set(tagged, 1);
      tx.set(other, 1);
    });
    expect(puts()).toHaveLength(1);
    await store.transaction((tx) => tx.getMany([A, B]));
    await store.transaction((tx) => tx.delete("nothing"));
    expect(puts()).toEqual([]);
    expect(await entries()).toHaveLength(4);
  });

  test("followers are told of it once, and readers see it whole", async () => {
    const { open, lookUp } = await setUp(make);
    const store = await open<number>({ agentId: "a" });
    const other = await open<number>({ agentId: "b" });
    await other.tail();
    await store.tail();
    await store.transaction((tx) => {
      tx.set(A, 1);
      tx.set(B, 2);
    });
    expect(await store.tail()).toEqual([]);
    const told = await other.tail();
    expect(new Map(told.map(({ id, data }) => [id, data]))).toEqual(
      new Map([
        [A, 1],
        [B, 2],
      ]),
    );
    expect(told).toHaveLength(2);
    expect(await other.tail()).toEqual([]);
    expect(await lookUp([A, B])).toEqual(
      new Map([
        [A, 1],
        [B, 2],
      ]),
    );
    await other.compact();
    expect(await store.tail()).toEqual([]);
    expect(await lookUp([A, B])).toHaveProperty("size", 2);
  });

  test("read-only stores, buffers and stores without lanes refuse", async () => {
    const { open, entries } = await setUp(make);
    const early = await open<number>({ agentId: "a", skipLoad: true });
    await expect(early.transaction((tx) => tx.set(A, 1))).rejects.toThrow(NotSupportedError);
    await expect(early.transaction((tx) => tx.get(A))).rejects.toThrow(/compact/);
    await early.set(B, 1);
    await early.compact();
    await early.transaction((tx) => tx.set(A, 1));
    const reader = await open<number>({ readOnly: true });
    await expect(
      Promise.resolve().then(() => reader.transaction((tx) => tx.get(A))),
    ).rejects.toThrow(ReadOnlyError);
    const buffering = await open<number>({ writeMode: "group" });
    await expect(buffering.transaction((tx) => tx.set(A, 2))).rejects.toThrow(InvalidArgumentError);
    expect(new Map(await entries())).toEqual(
      new Map([
        [A, 1],
        [B, 1],
      ]),
    );
  });
}
