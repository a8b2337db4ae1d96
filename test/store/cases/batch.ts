/** batch: one flush, all or nothing. */
import { expect, test } from "vitest";
import { InvalidArgumentError, RecordNotFoundError } from "../../../src/core/errors.ts";
import { BATCH_BYTES_MAX } from "../../../src/session/commit-queue.ts";
import { type MakeMedium, setUp } from "../fixture.ts";
import { watchBackend } from "../watched-backend.ts";

export function batchCases(make: MakeMedium): void {
  test("a batch is one flush, acts at once, and resolves undefined", async () => {
    const { open, flushes, entries } = await setUp(make);
    const store = await open<number>();
    await store.set("old", 0);
    const returned: unknown[] = [];
    const done = store.batch(() => {
      returned.push(store.set("a", 1), store.set("b", 2), store.delete("old"));
      expect([store.get("a"), store.has("old"), store.count()]).toEqual([1, false, 2]);
      returned.push(store.set("a", 3));
    });
    expect(returned).toEqual([undefined, undefined, undefined, undefined]);
    expect(store.get("a")).toBe(3);
    expect(await done).toBeUndefined();
    expect([await flushes(), store.stats().opsCount]).toEqual([2, 5]);
    expect(await entries()).toEqual([
      ["a", 3],
      ["b", 2],
    ]);
  });

  test("an empty batch does no I/O and makes no operation", async () => {
    const { medium, open } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const store = await open({ backend: watched.backend });
    watched.calls.length = 0;
    expect(await store.batch(() => {})).toBeUndefined();
    expect([watched.calls, store.stats().opsCount]).toEqual([[], 0]);
  });

  test("an error in the function takes everything back and is passed on", async () => {
    const { open, flushes } = await setUp(make);
    const store = await open();
    await store.set("a", 1);
    await store.set("b", 1);
    const failing = store.batch(() => {
      void store.set("a", 2);
      void store.delete("b");
      void store.set("c", 2);
      throw new RangeError("mine");
    });
    await expect(failing).rejects.toThrow(new RangeError("mine"));
    expect(new Map(store.entries())).toEqual(
      new Map([
        ["a", 1],
        ["b", 1],
      ]),
    );
    expect(await flushes()).toBe(2);
    await store.batch(() => void store.set("a", 3));
    expect(store.get("a")).toBe(3);
  });

  test("refused arguments and deletes of nothing throw inside and reject the batch", async () => {
    const { open, flushes } = await setUp(make);
    const store = await open();
    const inside: unknown[] = [];
    const attempt = (call: () => unknown): Promise<void> =>
      store.batch(() => {
        void store.set("a", 1);
        try {
          call();
        } catch (error) {
          inside.push(error);
          throw error;
        }
      });
    await expect(attempt(() => store.set("b", 1n))).rejects.toThrow(InvalidArgumentError);
    await expect(attempt(() => store.set("", 1))).rejects.toThrow(InvalidArgumentError);
    await expect(attempt(() => store.delete("none"))).rejects.toThrow("Record 'none' not found");
    expect(inside).toHaveLength(3);
    expect([store.count(), await flushes()]).toEqual([0, 0]);
  });

  test("in a lazy store a delete of nothing rejects the whole batch", async () => {
    const { open, flushes } = await setUp(make);
    const store = await open({ skipLoad: true });
    const batch = store.batch(() => {
      void store.set("a", 1);
      void store.delete("none");
    });
    await expect(batch).rejects.toThrow(new RecordNotFoundError("none"));
    expect([store.has("a"), await flushes()]).toEqual([false, 0]);
    const twice = store.batch(() => {
      void store.set("a", 1);
      void store.delete("a");
      void store.delete("a");
    });
    await expect(twice).rejects.toThrow(RecordNotFoundError);
  });

  test("an async function is refused, what it did before its first await included", async () => {
    const { open, flushes } = await setUp(make);
    const store = await open();
    const asynchronous = async (): Promise<void> => {
      void store.set("a", 1);
      await Promise.resolve();
      throw new Error("nobody awaits this");
    };
    const refused = store.batch((): unknown => asynchronous());
    await expect(refused).rejects.toThrow(InvalidArgumentError);
    expect([store.has("a"), await flushes()]).toEqual([false, 0]);
  });

  test("what async methods do before their first await counts", async () => {
    const { open, flushes } = await setUp(make);
    const store = await open();
    const put = async (id: string): Promise<void> => {
      await store.set(id, 1);
    };
    await store.batch(() => {
      void put("a");
      void put("b");
    });
    expect([store.count(), await flushes()]).toEqual([2, 1]);
  });

  test("batches do not nest, and the outer one is not harmed", async () => {
    const { open } = await setUp(make);
    const store = await open();
    const inner: Promise<unknown>[] = [];
    await store.batch(() => {
      void store.set("a", 1);
      inner.push(store.batch(() => void store.set("b", 1)).catch((error: unknown) => error));
      void store.set("c", 1);
    });
    expect(await inner[0]).toBeInstanceOf(InvalidArgumentError);
    expect(store.entries()).toEqual([
      ["a", 1],
      ["c", 1],
    ]);
  });

  test("a batch above 64 MiB is refused before anything is written", async () => {
    const { open, flushes } = await setUp(make);
    const store = await open();
    const part = "x".repeat(BATCH_BYTES_MAX / 8);
    const batch = store.batch(() => {
      for (let n = 0; n < 8; n++) void store.set(`r${n}`, part);
    });
    await expect(batch).rejects.toThrow(InvalidArgumentError);
    expect([store.count(), await flushes()]).toEqual([0, 0]);
    await store.set("a", 1);
  });
}
