/** Readers that may read and nothing else, beside a writer that writes and checkpoints. */
import { chmod, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Store } from "../../src/store/store.ts";
import { bundleWorker, type Worker, type Workers } from "../storage/fs-processes.ts";
import { tempDir } from "../support/temp-dir.ts";
import { treeContents } from "./media.ts";

const NOBODY = 65_534;
const root = process.getuid?.() === 0;
if (!root) console.warn("skipped: these tests change users, as root only");

describe.runIf(root)("a directory that its readers cannot write to", () => {
  let workers: Workers;
  beforeAll(async () => {
    workers = await bundleWorker(new URL("follow-worker.ts", import.meta.url));
  });

  async function follow(location: string, count: number): Promise<Worker[]> {
    const readers = Array.from({ length: count }, () => workers.start([location], NOBODY));
    for (const reader of readers) expect(await reader.answer()).toEqual({ ready: true });
    return readers;
  }

  async function openWriter(): Promise<{ location: string; writer: Store<unknown> }> {
    const made = await tempDir();
    onTestFinished(() => made[Symbol.asyncDispose]());
    await chmod(made.path, 0o755);
    const location = join(made.path, "store");
    const writer = await Store.open<unknown>(location, { checkpointThreshold: 4 });
    onTestFinished(() => writer.close());
    await writer.set("a", 0);
    return { location, writer };
  }

  const sorted = (entries: readonly (readonly [string, unknown])[]): unknown =>
    [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1));

  /** What a worker answers to "tail". */
  interface Told {
    readonly copy: [string, unknown][];
    readonly entries: [string, unknown][];
  }

  test("three of them follow it, and leave no trace", async () => {
    const { location, writer } = await openWriter();
    const readers = await follow(location, 3);
    for (let n = 1; n <= 24; n++) {
      await writer.set(`r${n % 5}`, n);
      if (n % 7 === 0) await writer.delete(`r${n % 5}`);
      for (const [at, reader] of readers.entries()) {
        if (n % (at + 1) > 0) continue;
        reader.go("tail");
        const { copy, entries } = (await reader.answer()) as Told;
        expect(sorted(copy), `after ${n}`).toEqual(sorted(writer.entries()));
        expect(sorted(entries), `after ${n}`).toEqual(sorted(copy));
      }
    }
    expect(writer.getManifest()?.currentSnapshot, "it has checkpointed").not.toBe("");
    const before = await treeContents(location);
    const [first, second] = readers;
    first?.go("try");
    expect(await first?.answer()).toEqual(Array.from({ length: 6 }, () => "READ_ONLY"));
    second?.go("tail");
    await second?.answer();
    for (const reader of readers) reader.finish();
    expect(await treeContents(location)).toEqual(before);
    for (const entry of await readdir(location, { recursive: true })) {
      expect((await stat(join(location, entry))).uid, entry).toBe(0);
    }
  });

  test("a watch there reports of every write, and of checkpoints nothing", async () => {
    const { location, writer } = await openWriter();
    const [reader] = await follow(location, 1);
    reader?.go("watch");
    for (const id of ["b", "c"]) {
      await writer.set(id, 1);
      expect(await reader?.answer()).toEqual([`set ${id}`]);
    }
    await writer.compact();
    await writer.delete("b");
    expect(await reader?.answer()).toEqual(["delete b"]);
  });
});
