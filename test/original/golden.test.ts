/** Stores that earlier versions and the original wrote open here, whole, and stay so (golden/). */
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { listedContents } from "../store/fixture.ts";
import { treeContents } from "../store/media.ts";
import { tempDir } from "../support/temp-dir.ts";
import { goldenSuite, type Place } from "./golden-suite.ts";
import { goldenNames, REPOSITORY, writeTree } from "./golden/golden-store.ts";

const place: Place = async (layout, files) => {
  const directory = await tempDir();
  onTestFinished(() => directory[Symbol.asyncDispose]());
  const location = join(directory.path, "store");
  if (layout === "files") {
    await writeTree(location, files);
    const backend = (): FsBackend => new FsBackend({ fsync: false });
    return { location, backend, contents: () => treeContents(location) };
  }
  const memory = new MemoryBackend();
  await memory.initialize(location, { readOnly: false });
  for (const [path, content] of files) await memory.writeBlob(path, content);
  return { location, backend: () => memory, contents: () => listedContents(memory) };
};

const names = await goldenNames(REPOSITORY);

test("there are golden stores of the original on both media, and of every format of ours", () => {
  const some = ["agents", "single-crash", "s3-batches", "format-1-files", "format-1-objects"];
  expect(names).toEqual(expect.arrayContaining(some));
});

describe.each(names)("golden store %s", (name) => goldenSuite(name, place));
