/** watch, unwatch: on real time. When it looks, and what it survives, is in ../watch.test.ts. */
import { expect, test } from "vitest";
import { InvalidArgumentError, NotOpenError } from "../../../src/core/errors.ts";
import type { Operation } from "../../../src/core/operation.ts";
import { Store } from "../../../src/store/store.ts";
import { type MakeMedium, setUp } from "../fixture.ts";

/** "set a 1": what a follower would apply. */
function brief(operations: readonly Operation<unknown>[]): string[] {
  return operations.map(({ op, id, data }) => `${op} ${id} ${JSON.stringify(data)}`);
}

/** A callback that can be waited for. */
function inbox() {
  const calls: string[][] = [];
  let arrived = (): void => {};
  return {
    calls,
    callback: (operations: readonly Operation<unknown>[]): void => {
      calls.push(brief(operations));
      arrived();
    },
    /** Resolves at the n-th call. */
    nth: async (n: number): Promise<void> => {
      while (calls.length < n) await new Promise<void>((resolve) => (arrived = resolve));
    },
  };
}

export function watchCases(make: MakeMedium): void {
  test("watch calls back with what is new, and with nothing else, until unwatch", async () => {
    const { open } = await setUp(make);
    const writer = await open();
    const reader = await open({ readOnly: true });
    const { callback, calls, nth } = inbox();
    reader.watch(callback, 1);
    await writer.set("a", 1);
    await nth(1);
    await writer.set("a", 2);
    await writer.compact();
    await nth(2);
    expect(calls).toEqual([["set a 1"], ["set a 2"]]);
    reader.unwatch();
    reader.unwatch();
    await writer.set("a", 3);
    expect(brief(await reader.tail()), "not taken by the watch that ended").toEqual(["set a 3"]);
    expect(calls).toHaveLength(2);
  });

  test("a second watch replaces the first", async () => {
    const { open } = await setUp(make);
    const writer = await open();
    const reader = await open({ readOnly: true });
    const [first, second] = [inbox(), inbox()];
    reader.watch(first.callback, 1);
    reader.watch(second.callback, 1);
    await writer.set("a", 1);
    await second.nth(1);
    expect([first.calls, second.calls]).toEqual([[], [["set a 1"]]]);
  });

  test("wrong arguments and a store that is not open are refused", async () => {
    const { open } = await setUp(make);
    const closed = new Store<unknown>();
    closed.unwatch();
    expect(() => closed.watch(() => {})).toThrow(NotOpenError);
    await expect(closed.tail()).rejects.toThrow(NotOpenError);
    const store = await open();
    for (const interval of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31]) {
      expect(() => store.watch(() => {}, interval)).toThrow(InvalidArgumentError);
    }
    expect(() => Reflect.apply(store.watch, store, ["x"])).toThrow('found "x"');
    expect(() => Reflect.apply(store.watch, store, [() => {}, "1"])).toThrow('found "1"');
    const { callback, calls } = inbox();
    store.watch(callback, 1);
    await store.close();
    store.unwatch();
    expect(calls).toEqual([]);
  });
}
