import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { Store } from "../../src/store/store.ts";
import { tempDir } from "../support/temp-dir.ts";
import { checkRegister } from "./checker.ts";
import { ONE_HOST } from "./history.ts";
import { historyOf, readRegisterJournal, RegisterJournal, steadyMs } from "./journal.ts";
import { recordSent, RecordedStore } from "./recorded-store.ts";

test.each([
  ["memory", () => new MemoryBackend()],
  ["a directory", () => new FsBackend()],
])("what a store does on %s becomes a history", async (_, createBackend) => {
  await using directory = await tempDir();
  const path = join(directory.path, "journal.jsonl");
  const journal = new RegisterJournal(path);
  const backend = createBackend();
  recordSent(backend, journal);
  const openingMs = steadyMs();
  await using store = await Store.open(join(directory.path, "store"), { backend, agentId: "a" });
  const recorded = new RecordedStore(store, journal, "one", openingMs);
  await recorded.read("x");
  await recorded.write("x");
  await store.set("not recorded", { n: 1 });
  await recorded.write("x");
  await recorded.read("x");
  const { writes, reads } = historyOf([readRegisterJournal(path)]);
  expect(writes.map(({ id, outcome, operations }) => [id, outcome, operations])).toEqual([
    ["x", "acknowledged", 1],
    ["x", "acknowledged", 1],
  ]);
  expect(writes[1]?.version.clock).toBeGreaterThan(writes[0]?.version.clock ?? Infinity);
  expect(writes.every((one) => one.invokedMs < one.sentMs && one.sentMs < one.endedMs)).toBe(true);
  expect(writes[1]?.viewMs).toBeGreaterThan(openingMs);
  expect(reads.map(({ gave }) => gave)).toEqual([[], [writes[1]]]);
  expect(checkRegister({ writes, reads }, ONE_HOST)).toEqual([]);
});

test("a call without an outcome may have landed, one that was never sent is no write", () => {
  const call = { kind: "call", id: "x", atMs: 1, viewMs: 0 } as const;
  const version = { clock: 5, agent: "a", w: "0" };
  const sent = { kind: "sent", tag: "1", version, operations: 2, atMs: 2 } as const;
  const lines = [{ ...call, tag: "1" }, sent, { ...call, tag: "2" }];
  const { writes } = historyOf([{ session: "s", lines }]);
  expect(writes).toMatchObject([{ id: "x", version, outcome: "unknown", endedMs: Infinity }]);
});

test("what nobody sent is an error, and half a line is none", async () => {
  const read = { kind: "read", id: "x", tag: "?", invokedMs: 1, returnedMs: 2, viewMs: 1 } as const;
  expect(() => historyOf([{ session: "s", lines: [read] }])).toThrow("nobody sent");
  await using directory = await tempDir();
  const path = join(directory.path, "journal.jsonl");
  new RegisterJournal(path).append(read);
  const [line = ""] = readFileSync(path, "utf8").split("\n");
  writeFileSync(path, `${line}\n${line.slice(0, 10)}`);
  expect(readRegisterJournal(path).lines).toEqual([read]);
});
