/** A frame behind the seal of its file vanishes with the file, and its owner appends it elsewhere. */
import { readdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { compact } from "../../src/compaction/compact.ts";
import { Store } from "../../src/store/store.ts";
import { tempDir } from "../support/temp-dir.ts";

/** Paths of the log's files that hold something. */
async function logFiles(directory: string): Promise<string[]> {
  const names = await readdir(join(directory, "ops"));
  const files: string[] = [];
  for (const name of names.filter((one) => one.endsWith(".jsonl"))) {
    const path = join(directory, "ops", name);
    if ((await readFile(path)).length > 0) files.push(path);
  }
  return files;
}

test.each([
  { what: "lies in another file", isCompacted: false },
  { what: "was compacted from there", isCompacted: true },
])("a lazy follower hears again of a write that vanished, when it $what", async (how) => {
  await using directory = await tempDir();
  const { path } = directory;
  const writer = await Store.open<number>(path, { agentId: "w", checkpointOnClose: false });
  await writer.set("a", 1);
  const follower = await Store.open<number>(path, { readOnly: true, skipLoad: true });
  expect(await follower.tail()).toEqual([]);

  const [first = ""] = await logFiles(path);
  const length = (await readFile(first)).length;
  // A compactor seals the file; the writer appends, finds the seal, and appends to another file.
  await writeFile(first.replace(/1\.jsonl$/, "2.jsonl"), "");
  await writer.set("b", 2);
  const second = (await logFiles(path)).find((one) => one !== first) ?? "";
  // Before it does the latter, the follower looks, and the compactor deletes what it had sealed.
  const aside = join(path, basename(second));
  await rename(second, aside);
  expect((await follower.tail()).map(({ id }) => id)).toEqual(["b"]);
  await truncate(first, length);
  await compact(path);
  const copy: string[] = [];
  for await (const [id] of follower.scan()) copy.push(id);
  expect(copy).toEqual(["a"]);

  await rename(aside, second);
  if (how.isCompacted) await compact(path);
  expect((await follower.tail()).map(({ id, data }) => [id, data])).toEqual([["b", 2]]);
  expect(await follower.tail()).toEqual([]);
  await follower.close();
  await writer.close();
  await rm(aside, { force: true });
});
