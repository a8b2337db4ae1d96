/** Stores that earlier versions and the original wrote open here, whole, and stay so (golden/). */
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { countLevels } from "../../src/format/levels.ts";
import { decodeManifest } from "../../src/format/manifest-codec.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { listedContents } from "../store/fixture.ts";
import { treeContents } from "../store/media.ts";
import { tempDir } from "../support/temp-dir.ts";
import { goldenSuite, type Place } from "./golden-suite.ts";
import { goldenNames, readGolden, REPOSITORY, writeTree } from "./golden/golden-store.ts";

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
  const packed = ["format-2-files", "format-2-objects"];
  expect(names).toEqual(expect.arrayContaining([...some, ...packed]));
});

test.each(["files", "objects"])("format 2 on %s has all that was new in it", async (layout) => {
  const { files } = await readGolden(REPOSITORY, `format-2-${layout}`);
  const bytes = files.get("manifest.json") ?? Buffer.alloc(0);
  const manifest = decodeManifest(bytes, "manifest.json");
  expect(bytes.toString()).toMatch(/^\{"format":2,/);
  expect(countLevels(manifest)).toBeGreaterThan(3);
  expect(manifest.draining.length).toBeGreaterThan(1);
  expect(manifest.draining).not.toContain(0);
  for (const { rawBytes, since } of manifest.runs) {
    expect(rawBytes).toBeGreaterThan(0);
    expect(since).toBeGreaterThan(0);
  }
  const excised = manifest.runs.filter((run) => run.excised !== undefined);
  expect(excised.length).toBeGreaterThan(0);
  expect(manifest.runs.filter(({ tombstones }) => tombstones > 0).length).toBeGreaterThan(2);
  expect(manifest.archive).toHaveLength(3);
});

describe.each(names)("golden store %s", (name) => goldenSuite(name, place));
