/** SPAN: what a conditional write is decided on was seen at one time. */
import { expect, test } from "vitest";
import { UnavailableError } from "../../src/core/errors.ts";
import type { ListPage, StorageBackend } from "../../src/storage/backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";

/** As if the listing had stopped before its last page. @param stops how long, for each listing that follows */
function stopping(
  inner: StorageBackend,
  stops: number[],
): { backend: StorageBackend; lists: number } {
  const watched = { backend: inner, lists: 0 };
  const list = async function* (
    ...args: Parameters<StorageBackend["list"]>
  ): AsyncGenerator<ListPage> {
    watched.lists++;
    const stoppedMs = stops.shift() ?? 0;
    for await (const page of inner.list(...args))
      yield { ...page, dateMs: page.dateMs + stoppedMs };
  };
  watched.backend = new Proxy(inner, {
    get: (target, name) => {
      const value: unknown = name === "list" ? list : Reflect.get(target, name, target);
      return typeof value === "function" && name !== "list" ? value.bind(target) : value;
    },
  });
  return watched;
}

async function openOn(stops: number[]) {
  const memory = new MemoryBackend();
  await (await Store.open("memory", { backend: memory })).close();
  const watched = stopping(memory, stops);
  const store = await Store.open<number>("memory", { backend: watched.backend, agentId: "a" });
  watched.lists = 0;
  return { store, watched };
}

test("SPAN: a look that stopped between its answers is made again", async () => {
  const stops: number[] = [];
  const { store, watched } = await openOn(stops);
  await store.set("a", 1, { ifAbsent: true });
  expect(watched.lists).toBe(1);
  stops.push(21_000, 21_000, 0);
  await store.set("b", 1, { ifAbsent: true });
  expect(watched.lists).toBe(4);
  await store.close();
});

test("SPAN: looks that always stop end in an error, and nothing is written", async () => {
  const stops: number[] = [];
  const { store } = await openOn(stops);
  stops.push(21_000, 21_000, 21_000);
  await expect(store.set("a", 1, { ifAbsent: true })).rejects.toThrow(UnavailableError);
  expect(await store.read("a", { freshness: "strong" })).toBeUndefined();
  await store.close();
});
