/** refresh: picks up other writers, reads only what is new. */
import { expect, test } from "vitest";
import { compact } from "../../../src/compaction/compact.ts";
import { type MakeMedium, setUp } from "../fixture.ts";
import { watchBackend } from "../watched-backend.ts";

export function refreshCases(make: MakeMedium): void {
  test.each([true, false])("shows what others wrote before it, skipLoad %s", async (skipLoad) => {
    const { medium, open } = await setUp(make);
    const writer = await open({ agentId: "w" });
    await writer.set("changed", 1);
    await writer.set("deleted", 1);
    const reader = await open({ readOnly: true, skipLoad });
    await reader.hydrate(["changed", "deleted", "created"]);
    await writer.set("changed", 2);
    await writer.delete("deleted");
    await writer.set("created", 2);
    expect(reader.get("changed")).toBe(1);
    expect(await reader.refresh()).toBeUndefined();
    const expected = [
      ["changed", 2],
      ["created", 2],
    ];
    expect(reader.entries()).toEqual(expected);
    await compact(medium.location, { backend: medium.backend() });
    await reader.refresh();
    expect(reader.entries()).toEqual(expected);
    await writer.set("changed", 3);
    await compact(medium.location, { backend: medium.backend() });
    await reader.refresh();
    expect(reader.get("changed")).toBe(3);
  });

  test("reads no run and no flush a second time", async () => {
    const { medium, open } = await setUp(make);
    const writer = await open({ agentId: "w", checkpointThreshold: 1_000 });
    for (let n = 0; n < 10; n++) await writer.set(`r${n}`, n);
    await writer.compact();
    for (let n = 0; n < 5; n++) await writer.set(`s${n}`, n);
    const watched = watchBackend(medium.backend());
    const reader = await open({ backend: watched.backend, readOnly: true });
    const data = (): string[] => watched.calls.filter((c) => /^get (ops|snapshots)\//.test(c));
    watched.calls.length = 0;
    await reader.refresh();
    expect(data()).toEqual([]);
    await writer.set("t", 1);
    await reader.refresh();
    expect(reader.get("t")).toBe(1);
    // A file is read once to find the new frame and once for its operations.
    const reads = data();
    expect(reads.length).toBeLessThanOrEqual(2);
    expect(reads.every((call) => call.startsWith("get ops/"))).toBe(true);
  });

  test("a store's own compaction is not read back", async () => {
    const { medium, open } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const store = await open({ backend: watched.backend });
    for (let n = 0; n < 10; n++) await store.set(`r${n}`, n);
    await store.compact();
    watched.calls.length = 0;
    await store.refresh();
    await store.set("x", 1);
    expect(watched.calls.filter((call) => call.startsWith("get snapshots/"))).toEqual([]);
    expect(store.count()).toBe(11);
  });

  test("an unflushed write of one's own stays visible over what others wrote", async () => {
    const { open, entries } = await setUp(make);
    const [a, b] = [await open({ agentId: "a" }), await open({ agentId: "b" })];
    await b.set("x", "theirs");
    const written = a.set("x", "mine");
    const refreshed = a.refresh();
    expect(a.get("x")).toBe("mine");
    await Promise.all([written, refreshed]);
    await a.refresh();
    await b.refresh();
    const [[, winner] = []] = await entries();
    expect([a.get("x"), b.get("x")]).toEqual([winner, winner]);
  });
}
