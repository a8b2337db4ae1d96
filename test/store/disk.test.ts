/** What a real disk refuses: space and permissions. Nothing acknowledged is lost over it. */
import { execFile, execFileSync } from "node:child_process";
import { chmod, chown, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { OpslogError } from "../../src/core/errors.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { Store } from "../../src/store/store.ts";
import { tempDir } from "../support/temp-dir.ts";
import { treeContents } from "./media.ts";

const NOBODY = 65_534;
const root = process.getuid?.() === 0;
if (!root) console.warn("skipped: these tests mount file systems and change users, as root only");

async function directory(): Promise<string> {
  const made = await tempDir();
  onTestFinished(() => made[Symbol.asyncDispose]());
  await chmod(made.path, 0o755);
  return made.path;
}

describe.runIf(root)("a full disk", () => {
  /** A file system of 2 MiB; undefined where mounting is not allowed. */
  async function smallDisk(): Promise<string | undefined> {
    const path = await directory();
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", path], { stdio: "pipe" });
    } catch (error) {
      console.warn(`skipped: cannot mount a tmpfs here (${String(error)})`);
      return undefined;
    }
    onTestFinished(() => void execFileSync("umount", [path]));
    return path;
  }

  async function expectFull(call: Promise<unknown>): Promise<void> {
    const error: unknown = await call.then(
      () => "it was accepted",
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(OpslogError);
    expect(error).toMatchObject({ code: expect.stringMatching(/^(UNAVAILABLE|OUTCOME_UNKNOWN)$/) });
    expect(String(error)).toMatch(/disk full|ENOSPC/);
  }

  test("rejects what does not fit, keeps what was acknowledged, continues once there is room", async () => {
    const disk = await smallDisk();
    if (disk === undefined) return;
    const location = join(disk, "store");
    const backend = new FsBackend();
    // No compaction but the one that is called for: it needs room of its own.
    const options = { backend, checkpointThreshold: Infinity, checkpointOnClose: false };
    const store = await Store.open<unknown>(location, options);
    await backend.writeBlob("filler", Buffer.alloc(700_000));
    const acknowledged = new Map<string, unknown>();
    const text = "x".repeat(40_000);
    const fill = async (): Promise<void> => {
      for (let n = 0; n < 100; n++) {
        await store.set(`r${n}`, { n, text });
        acknowledged.set(`r${n}`, { n, text });
      }
    };
    await expectFull(fill());
    await expectFull(store.set("again", text));
    await expectFull(store.compact());
    await expectFull(Store.open<unknown>(join(disk, "another")));
    expect(acknowledged.size).toBeGreaterThan(10);
    const expectWhole = async (): Promise<void> => {
      await using reader = await Store.open<unknown>(location, {
        readOnly: true,
        onCorrupt: "throw",
      });
      // What was rejected as unknown may have landed; what was acknowledged must be there.
      const found = new Map(reader.entries());
      for (const [id, value] of acknowledged) expect(found.get(id), id).toEqual(value);
    };
    await expectWhole();
    await backend.deleteBlob("filler");
    await store.set("after", 1);
    acknowledged.set("after", 1);
    await expectWhole();
    await store.close();
    await expectWhole();
  });

  test("a batch whose append fails half-way is not there, not a part of it, now or later", async () => {
    const disk = await smallDisk();
    if (disk === undefined) return;
    const location = join(disk, "store");
    const backend = new FsBackend();
    const store = await Store.open<unknown>(location, { backend, checkpointOnClose: false });
    await store.set("r0", "before");
    const text = "x".repeat(40_000);
    const batch = (count: number): Promise<void> =>
      store.batch(() => {
        for (let n = 0; n < count; n++) void store.set(`r${n}`, { n, text });
      });
    // 2.4 MB: the disk takes most of it, then no more.
    await expectFull(batch(60));
    expect(store.entries()).toEqual([["r0", "before"]]);
    const expectBefore = async (): Promise<void> => {
      await using reader = await Store.open<unknown>(location, {
        readOnly: true,
        onCorrupt: "throw",
      });
      expect(reader.entries()).toEqual([["r0", "before"]]);
    };
    await expectBefore();
    await store.close();
    await expectBefore();
    // What the failed append left behind takes the room until a compaction.
    await using again = await Store.open<unknown>(location, { backend, checkpointOnClose: false });
    expect(again.entries()).toEqual([["r0", "before"]]);
  });
});

describe.runIf(root)("without permission", () => {
  let worker = "";
  let bundled: AsyncDisposable | undefined;

  beforeAll(async () => {
    const made = await tempDir();
    bundled = made;
    await chmod(made.path, 0o755);
    worker = join(made.path, "worker.mjs");
    await build({
      entryPoints: [fileURLToPath(new URL("store-worker.ts", import.meta.url))],
      outfile: worker,
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      logLevel: "silent",
    });
  });
  afterAll(() => bundled?.[Symbol.asyncDispose]());

  /** What a user with no rights of its own is answered. */
  async function asNobody(command: string, location: string): Promise<unknown> {
    const args = [worker, command, location];
    const { stdout } = await promisify(execFile)(process.execPath, args, { uid: NOBODY });
    return JSON.parse(stdout);
  }

  /** A store of root's, with a run and a log. */
  async function filled(): Promise<string> {
    const location = join(await directory(), "store");
    const store = await Store.open<unknown>(location, { checkpointOnClose: false });
    await store.set("a", 1);
    await store.compact();
    await store.set("b", 2);
    await store.close();
    return location;
  }

  const denied = (path: string): object => ({
    code: "ACCESS_DENIED",
    action: "fix-call",
    message: expect.stringMatching(new RegExp(`${path}.*permission denied \\(E(ACCES|PERM)\\)`)),
  });

  test("to write: reading works, everything else is refused, nothing changes", async () => {
    const location = await filled();
    const before = await treeContents(location);
    expect(await asNobody("read", location)).toEqual({ count: 2 });
    for (const command of ["write", "compact"]) {
      expect(await asNobody(command, location)).toEqual(denied(location));
    }
    const beside = join(location, "..", "new");
    expect(await asNobody("write", beside)).toEqual(denied(beside));
    expect(await treeContents(location)).toEqual(before);
  });

  test("to write a part: the write is refused by its name, nothing is lost", async () => {
    const location = await filled();
    for (const part of ["", ".tmp"]) await chown(join(location, part), NOBODY, NOBODY);
    expect(await asNobody("write", location)).toEqual(denied("ops/"));
    expect(await asNobody("read", location)).toEqual({ count: 2 });
    expect(await asNobody("compact", location)).toMatchObject({ code: "ACCESS_DENIED" });
    await using store = await Store.open<unknown>(location, { readOnly: true, onCorrupt: "throw" });
    expect(store.entries()).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
  });

  test("to the backend's own directory: reported, also when something was left behind in it", async () => {
    const location = await filled();
    await chown(location, NOBODY, NOBODY);
    expect(await asNobody("write", location)).toEqual(denied("store/"));
    await writeFile(join(location, ".tmp", "put-1-left-behind"), "x");
    expect(await asNobody("write", location)).toEqual(denied("store/"));
    await chmod(join(location, ".tmp"), 0o700);
    expect(await asNobody("write", location)).toEqual(denied(location));
    expect(await asNobody("read", location)).toEqual({ count: 2 });
  });

  test.each(["ops", "snapshots", "manifest"])(
    "to read %s: an error, never a store with less in it",
    async (part) => {
      const location = await filled();
      const below = join(location, part === "manifest" ? "manifests" : part);
      await chmod(below, 0o700);
      expect(await asNobody("read", location)).toEqual(denied(part));
      await chmod(below, 0o755);
      execFileSync("chmod", ["-R", "go-r", below]);
      await chmod(below, 0o755);
      expect(await asNobody("read", location)).toEqual(denied(part));
    },
  );
});
