/** Versions of records, by name: what changes them, what leaves them, and what has none. */
import { expect, test } from "vitest";
import { compact } from "../../../src/compaction/compact.ts";
import { InvalidArgumentError } from "../../../src/core/errors.ts";
import { decodeVersionToken } from "../../../src/format/version-token.ts";
import { type MakeMedium, setUp } from "../fixture.ts";

const AGENT = { agentId: "agent", checkpointOnClose: false };

export function versionCases(make: MakeMedium): void {
  test.each([{}, { agentId: "agent" }])("each write has one of its own, %o", async (options) => {
    const { open } = await setUp(make);
    const store = await open({ checkpointOnClose: false, ...options });
    expect(await store.versionOf("a")).toBeUndefined();
    const seen = new Set<string | undefined>();
    for (let n = 0; n < 3; n++) {
      await store.set("a", "the same");
      seen.add(await store.versionOf("a"));
    }
    await store.set("b", "the same");
    seen.add(await store.versionOf("b"));
    expect(seen.size).toBe(4);
    expect(seen.has(undefined)).toBe(false);
    const before = await store.versionOf("a");
    await store.set("b", 2);
    expect(await store.versionOf("a"), "a write of another record").toBe(before);
    await store.undo();
    expect(await store.versionOf("a"), "an undo of another record").toBe(before);
    await store.delete("a");
    expect(await store.versionOf("a")).toBeUndefined();
  });

  test("eager and lazy stores agree, whether the record is in the log or in a run", async () => {
    const { open, medium } = await setUp(make);
    const writer = await open({ ...AGENT });
    await writer.set("a", 1);
    await writer.set("gone", 1);
    await writer.delete("gone");
    const inLog = await writer.versionOf("a");
    const everywhere = async (): Promise<unknown[]> => {
      const eager = await open({ readOnly: true });
      const lazy = await open({ readOnly: true, skipLoad: true });
      const found = [];
      for (const store of [writer, eager, lazy]) {
        found.push(await store.versionOf("a"), await store.versionOf("gone"));
      }
      return found;
    };
    const same = [inLog, undefined, inLog, undefined, inLog, undefined];
    expect(await everywhere()).toEqual(same);
    await compact(medium.location, { backend: medium.backend() });
    await writer.refresh();
    expect(await everywhere()).toEqual(same);
  });

  test("what another wrote is as fresh as is asked for", async () => {
    const { open } = await setUp(make);
    const [one, two] = [await open({ ...AGENT }), await open({ agentId: "other" })];
    await one.set("a", 1);
    expect(await two.versionOf("a")).toBeUndefined();
    expect(await two.versionOf("a", { freshness: "strong" })).toBe(await one.versionOf("a"));
    const before = await one.versionOf("a");
    await two.set("a", 1);
    expect(await one.versionOf("a")).toBe(before);
    expect(await one.versionOf("a", { freshness: "strong" })).toBe(await two.versionOf("a"));
  });

  test("a write that is not durable yet is waited for", async () => {
    const { open } = await setUp(make);
    const store = await open({ ...AGENT });
    await store.set("a", 1);
    const first = await store.versionOf("a");
    const writing = store.set("a", 2);
    const second = await store.versionOf("a");
    await writing;
    expect(second).not.toBe(first);
    expect(second).toBe(await store.versionOf("a"));
    let inBatch: Promise<string | undefined> = Promise.resolve(undefined);
    await store.batch(() => {
      void store.set("b", 1);
      inBatch = store.versionOf("b");
    });
    expect(await inBatch).toBe(await store.versionOf("b"));
    const deleting = store.delete("a");
    expect(await store.versionOf("a")).toBeUndefined();
    await deleting;
  });

  test.each(["group", "async"] as const)(
    "also one that is buffered, write mode %s",
    async (mode) => {
      const { open } = await setUp(make);
      const store = await open({
        writeMode: mode,
        groupCommitMs: 60_000,
        checkpointOnClose: false,
      });
      await store.set("a", 1);
      const version = await store.versionOf("a");
      expect(version).toBeDefined();
      await store.flush();
      expect(await store.versionOf("a")).toBe(version);
    },
  );

  test("an archived record has none, one that was written again another", async () => {
    const { open } = await setUp(make);
    const store = await open({ ...AGENT });
    await store.set("a", 1);
    const before = await store.versionOf("a");
    expect(await store.archive(() => true, "old")).toBe(1);
    expect(await store.versionOf("a")).toBeUndefined();
    await store.set("a", 1);
    const after = await store.versionOf("a");
    expect([typeof after, after === before]).toEqual(["string", false]);
  });

  test("a token is of its record, and stays what it is when the store gets a manifest", async () => {
    const { open } = await setUp(make);
    const store = await open({ agentId: "agent", skipLoad: true });
    await store.set("a", 1);
    const token = await store.versionOf("a");
    const scope = { id: "a", created: undefined };
    expect(decodeVersionToken(token, scope)).toMatchObject({ agent: "agent" });
    expect(() => decodeVersionToken(token, { ...scope, id: "b" })).toThrow(InvalidArgumentError);
    await store.compact();
    await store.refresh();
    expect(await store.versionOf("a")).toBe(token);
  });

  test("an id that can be none is refused", async () => {
    const { open } = await setUp(make);
    const store = await open({ readOnly: false });
    await expect(store.versionOf("")).rejects.toThrow(InvalidArgumentError);
    const odd = { freshness: "odd" } as never;
    await expect(store.versionOf("a", odd)).rejects.toThrow(InvalidArgumentError);
  });
}
