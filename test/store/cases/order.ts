/** In which order records are given. */
import { expect, test } from "vitest";
import { type MakeMedium, setUp } from "../fixture.ts";

export function orderCases(make: MakeMedium): void {
  test("insertion order: an update keeps its place, a record that is set again comes last", async () => {
    const { open } = await setUp(make);
    const store = await open<number>();
    for (const id of ["z", "m", "a"]) await store.set(id, 1);
    await store.set("m", 2);
    expect(store.entries()).toEqual([
      ["z", 1],
      ["m", 2],
      ["a", 1],
    ]);
    await store.delete("z");
    await store.set("z", 3);
    expect(store.entries()).toEqual([
      ["m", 2],
      ["a", 1],
      ["z", 3],
    ]);
    await store.batch(() => {
      void store.delete("m");
      void store.set("m", 4);
      void store.set("a", 5);
    });
    expect(store.entries()).toEqual([
      ["a", 5],
      ["z", 3],
      ["m", 4],
    ]);
    await store.compact();
    expect(store.all()).toEqual([5, 3, 4]);
  });

  test("after reopening: the snapshot, by id, then the log, in its order", async () => {
    const { open, entries } = await setUp(make);
    const store = await open({ checkpointOnClose: false });
    for (const id of ["s3", "s1", "s2"]) await store.set(id, "snapshot");
    await store.compact();
    // More than nine flushes, so that no order of names is the order of writing by chance.
    const ids = Array.from({ length: 12 }, (_, n) => `l${(n * 7) % 12}`);
    for (const id of ids) await store.set(id, "log");
    await store.set("s2", "updated");
    await store.set("l7", "updated");
    await store.delete("s1");
    await store.set("s1", "anew");
    await store.close();
    expect((await entries()).map(([id]) => id)).toEqual(["s2", "s3", ...ids, "s1"]);
  });

  test("refresh adds the records of others in the order they were written", async () => {
    const { open } = await setUp(make);
    const reader = await open({ agentId: "reader" });
    const writer = await open({ agentId: "writer" });
    const ids = Array.from({ length: 12 }, (_, n) => `l${(n * 7) % 12}`);
    for (const id of ids) await writer.set(id, 1);
    await reader.refresh();
    expect(reader.entries().map(([id]) => id)).toEqual(ids);
  });
}
