import { expect, test } from "vitest";
import { fromSorted } from "../../src/runs/merge.ts";
import { checkRun } from "../../src/runs/run-check.ts";
import { RunGoneError } from "../../src/runs/run-gone.ts";
import { writeRun } from "../../src/runs/run-writer.ts";
import { flip, INDEX_PATH, record, records, RUN_PATH, writeEntries } from "./support.ts";

test("a check finds nothing wrong with what was written, and names what was damaged", async () => {
  const { backend, run } = await writeEntries(records(500, 1_000));
  const problems = async (description = run): Promise<(string | undefined)[]> =>
    (await checkRun(backend, description)).map(({ path }) => path);
  expect(await problems()).toEqual([]);
  expect(await problems({ ...run, tombstones: 1 })).toEqual([RUN_PATH]);
  await backend.replace(INDEX_PATH, (bytes) => flip(bytes, bytes.length - 30, 1));
  expect(await problems()).toEqual([INDEX_PATH]);
  await backend.replace(RUN_PATH, (bytes) => flip(bytes, bytes.length - 30, 1));
  expect(await problems()).toEqual([INDEX_PATH, RUN_PATH]);
  await backend.delete([INDEX_PATH]);
  expect(await problems()).toEqual([INDEX_PATH, INDEX_PATH, RUN_PATH]);
  await backend.delete([RUN_PATH]);
  await expect(checkRun(backend, run)).rejects.toThrow(RunGoneError);
});

test("a check notices an index that denies a record of the run", async () => {
  const { backend, run } = await writeEntries([record("a", '"x"'), record("c")]);
  const other = await writeRun(backend, {
    path: "snapshots/other.jsonl",
    indexPath: "snapshots/other.index",
    base: 1,
    compression: "none",
    entries: fromSorted([record("a", '"x"'), record("b")]),
  });
  await backend.writeBlob(INDEX_PATH, await backend.readBlob(other?.index ?? ""));
  const mixed = { ...run, partitions: other?.partitions ?? [] };
  const messages = (await checkRun(backend, mixed)).map(({ message }) => message);
  expect(messages.some((message) => message.includes("denies record 'c'"))).toBe(true);
});
