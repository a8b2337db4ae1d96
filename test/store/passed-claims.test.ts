/** What a store reads of a lane in which it has taken a number behind others' (G6, R4). */
import { expect, test } from "vitest";
import { laneOf } from "../../src/core/lane.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";

/** Of one lane. */
const FIRST = "first{lane}";
const SECOND = "second{lane}";

test("R4: a refresh reads others' claims below an own one, too", async () => {
  expect(laneOf(FIRST)).toBe(laneOf(SECOND));
  const backend = new MemoryBackend();
  await (await Store.open("memory", { backend })).close();
  const open = (agentId: string) =>
    Store.open<number>("memory", { backend, agentId, skipLoad: true });
  const [other, store] = [await open("other"), await open("store")];
  expect(await store.readMany([FIRST, SECOND])).toEqual(new Map());
  await other.set(FIRST, 1, { ifAbsent: true });
  // Decided on the view from before: number 1 is taken, by a claim that does not name the record.
  await store.update(SECOND, () => 1, { fresh: false });
  await other.update(SECOND, () => 2);
  await store.refresh();
  expect(await store.readMany([FIRST, SECOND])).toEqual(
    new Map([
      [FIRST, 1],
      [SECOND, 2],
    ]),
  );
  await Promise.all([other.close(), store.close()]);
});

test("TOUCH: what was passed over is seen before anything is decided on its record", async () => {
  const backend = new MemoryBackend();
  await (await Store.open("memory", { backend })).close();
  const open = (agentId: string) =>
    Store.open<number>("memory", { backend, agentId, skipLoad: true });
  const [other, store] = [await open("other"), await open("store")];
  const increment = (value: number | undefined): number => (value ?? 0) + 1;
  await store.readMany([FIRST, SECOND]);
  await other.update(FIRST, increment);
  await store.update(SECOND, increment, { fresh: false });
  expect(await store.update(FIRST, increment, { fresh: false })).toBe(2);
  expect(await other.read(FIRST, { freshness: "strong" })).toBe(2);
  await Promise.all([other.close(), store.close()]);
});
