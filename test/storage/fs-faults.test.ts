/** What a real file system refuses: permissions, a full disk. Most of it needs root. */
import { chmod, chown, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { systemRuntime } from "../../src/core/runtime.ts";
import { FsAppendable } from "../../src/storage/fs/append.ts";
import { nodeFileSystem } from "../../src/storage/fs/file-system.ts";
import { StoreDirectory } from "../../src/storage/fs/directory.ts";
import { deletePaths, putFile } from "../../src/storage/fs/put.ts";
import { Staging } from "../../src/storage/fs/staging.ts";
import { SwapName } from "../../src/storage/fs/names.ts";
import { SwappedObjects } from "../../src/storage/fs/versioned-objects.ts";
import { smallDisk } from "../support/small-disk.ts";
import { bundleWorker } from "./fs-processes.ts";
import type { Workers } from "./fs-processes.ts";
import { getText, openFs, testDirectory } from "./open-fs.ts";

const NOBODY = 65_534;
const root = process.getuid?.() === 0;
if (!root) console.warn("skipped: these tests mount file systems and change users, as root only");

let workers: Workers;
beforeAll(async () => {
  workers = await bundleWorker();
});

test.runIf(root)("without permission: a clear error for every call", async () => {
  const parent = await testDirectory();
  await chmod(parent, 0o755);
  const { backend } = await openFs(join(parent, "store"));
  await backend.writeBlob("data/x", "x");
  const asNobody = (...args: string[]): Promise<unknown> => workers.start(args, NOBODY).answer();
  const denied = { code: "ACCESS_DENIED", message: expect.stringContaining("permission denied") };
  const store = join(parent, "store");
  expect(await asNobody("put", store, "data/x")).toEqual(denied);
  expect(await asNobody("read", store, "data/x")).toEqual({ status: "found" });
  expect(await asNobody("put", join(parent, "new"), "x")).toEqual(denied);
  await chmod(join(store, "data", "x"), 0o600);
  expect(await asNobody("read", store, "data/x")).toEqual(denied);
  await chmod(store, 0o700);
  expect(await asNobody("read", store, "data/x")).toEqual(denied);
  await chmod(store, 0o755);
  await chown(store, NOBODY, NOBODY);
  expect(await asNobody("put", store, "data/y")).toEqual(denied);
  await mkdir(join(parent, "own"));
  await chown(join(parent, "own"), NOBODY, NOBODY);
  expect(await asNobody("put", join(parent, "own"), "data/y")).toEqual({ written: true });
});

test.runIf(root)(
  "disk full: nothing is written, nothing is left, smaller things still fit",
  async () => {
    const disk = await smallDisk();
    if (disk === undefined) return;
    const { backend, path } = await openFs(join(disk, "store"));
    await backend.put("manifest.json", Buffer.from("old"), { ifAbsent: true });
    await backend.writeBlob("data/x", "old");
    const large = Buffer.alloc(2_000_000);
    const full = { code: "UNAVAILABLE", message: expect.stringContaining("disk full") };
    for (const precondition of [{ ifAbsent: true }, "none"] as const) {
      await expect(backend.put("data/large", large, precondition)).rejects.toMatchObject(full);
    }
    await expect(backend.put("data/x", large, "none")).rejects.toMatchObject(full);
    await expect(backend.put("manifest.json", large, "none")).rejects.toMatchObject(full);
    expect(await readdir(join(path, ".tmp"))).toEqual([]);
    expect(await getText(backend, "data/x")).toBe("old");
    expect(await getText(backend, "manifest.json")).toBe("old");
    expect((await backend.get("data/large")).status).toBe("absent");
    await backend.writeBlob("data/x", "new");
    expect(await getText(backend, "data/x")).toBe("new");
  },
);

test.runIf(root)("disk full while appending: no more appends to that file", async () => {
  const disk = await smallDisk();
  if (disk === undefined) return;
  const { backend } = await openFs(join(disk, "store"));
  const first = await backend.appendable.create("ops/1.jsonl");
  const second = await backend.appendable.create("ops/2.jsonl");
  await first?.append(Buffer.from("kept\n"));
  const large = Buffer.alloc(2_000_000, "x");
  const refused = {
    code: "UNAVAILABLE",
    message: expect.stringContaining("an append to it failed"),
  };
  const queued = [first?.append(large), first?.append(Buffer.from("queued behind it"))];
  await expect(queued[0]).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
  await expect(queued[1]).rejects.toMatchObject(refused);
  await expect(first?.append(Buffer.from("more"))).rejects.toMatchObject(refused);
  expect((await getText(backend, "ops/1.jsonl"))?.startsWith("kept\nxxx")).toBe(true);
  await expect(second?.append(Buffer.from("none fits"))).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringContaining("disk full"),
  });
  expect(await getText(backend, "ops/2.jsonl")).toBe("");
  await first?.close();
  await backend.delete(["ops/1.jsonl"]);
  const third = await backend.appendable.create("ops/3.jsonl");
  await third?.append(Buffer.from("fits again"));
  expect(await getText(backend, "ops/3.jsonl")).toBe("fits again");
});

test("appends called at once land in the order of the calls; shutdown closes", async () => {
  const { backend } = await openFs(undefined, { fsync: true });
  const file = (await backend.appendable.create("ops/1.jsonl")) ?? expect.unreachable();
  const lines = Array.from({ length: 50 }, (_, n) => `${n}${"x".repeat((n % 7) * 10_000)}\n`);
  await Promise.all(lines.map((line) => file.append(Buffer.from(line))));
  expect(await getText(backend, "ops/1.jsonl")).toBe(lines.join(""));
  await backend.shutdown();
  await expect(file.append(Buffer.from("late"))).rejects.toThrow("it is closed");
  await file.close();
  expect(await getText(backend, "ops/1.jsonl")).toBe(lines.join(""));
});

/** A disk whose directories cannot be made durable. */
class UnsyncedDirectory extends StoreDirectory {
  override syncParent(): Promise<void> {
    return Promise.reject(Object.assign(new Error("EIO"), { code: "EIO", syscall: "fsync" }));
  }
}

test("a write whose directory cannot be synced is of unknown outcome", async () => {
  const { backend, path } = await openFs();
  const directory = new UnsyncedDirectory(path, {
    durable: true,
    runtime: systemRuntime,
    files: nodeFileSystem,
  });
  const staging = new Staging(directory);
  const swapped = new SwappedObjects(directory, staging);
  const bound = { directory, staging, swapped };
  const unknown = { code: "OUTCOME_UNKNOWN" };
  const body = Buffer.from("x");
  await expect(putFile(bound, "a", body, { ifAbsent: true })).rejects.toMatchObject(unknown);
  await expect(putFile(bound, "b", body, "none")).rejects.toMatchObject(unknown);
  const manifest = SwapName.of("manifest.json") ?? expect.unreachable();
  await expect(swapped.put(manifest, body, { ifAbsent: true })).rejects.toMatchObject(unknown);
  for (const name of ["a", "b", "manifest.json"]) expect(await getText(backend, name)).toBe("x");
  await expect(deletePaths(bound, ["a"])).rejects.toMatchObject(unknown);
  const appendable = new FsAppendable(
    () => directory,
    (name) => name,
  );
  await expect(appendable.create("log")).rejects.toMatchObject(unknown);
  expect(await readdir(join(path, ".tmp"))).toEqual([]);
});
