import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { systemRuntime } from "../../src/core/runtime.ts";
import type { Precondition } from "../../src/storage/backend.ts";
import type { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { nodeFileSystem } from "../../src/storage/fs/file-system.ts";
import { StoreDirectory } from "../../src/storage/fs/directory.ts";
import { Staging } from "../../src/storage/fs/staging.ts";
import type { LinkOutcome } from "../../src/storage/fs/staging.ts";
import { SwapName } from "../../src/storage/fs/names.ts";
import { SwappedObjects } from "../../src/storage/fs/versioned-objects.ts";
import { repeat } from "../support/effort.ts";
import { bundleWorker } from "./fs-processes.ts";
import type { Workers } from "./fs-processes.ts";
import { getText, openFs } from "./open-fs.ts";

let workers: Workers;
beforeAll(async () => {
  workers = await bundleWorker();
});

async function swap(backend: FsBackend, path: string, content: string): Promise<string> {
  const found = await backend.get(path);
  const precondition: Precondition =
    found.status === "found" ? { ifMatch: found.etag } : { ifAbsent: true };
  const result = await backend.put(path, Buffer.from(content), precondition);
  if (result.status !== "written") throw new Error(`lost a race that nobody else ran: ${path}`);
  return result.etag;
}

const INCREMENTS = repeat({ quick: 60, full: 200 });

test(`4 processes with ${INCREMENTS} increments each lose none`, async () => {
  const { backend, path } = await openFs();
  await backend.put("manifest.json", Buffer.from("0"), { ifAbsent: true });
  const started = Array.from({ length: 4 }, () =>
    workers.start(["increment", path, "manifest.json", String(INCREMENTS)]),
  );
  for (const worker of started) expect(await worker.answer()).toEqual({ ready: true });
  for (const worker of started) worker.finish();
  for (const worker of started) expect(await worker.answer()).toEqual({ done: true });
  expect(await getText(backend, "manifest.json")).toBe(String(4 * INCREMENTS));
  const versions = (await readdir(join(path, "manifests"))).toSorted();
  expect(versions).toHaveLength(16);
  expect(versions.at(-1)).toBe(`${String(4 * INCREMENTS + 1).padStart(16, "0")}.json`);
  expect(await readFile(join(path, "manifest.json"), "utf8")).toBe(String(4 * INCREMENTS));
  expect(await readdir(join(path, ".tmp"))).toEqual([]);
});

test("versions lie beside the copy, numbered from 1, and the last 16 are kept", async () => {
  const { backend, path } = await openFs();
  for (let n = 1; n <= 20; n++) {
    await swap(backend, "manifest.json", `m${n}`);
    await swap(backend, "compact.lease", `l${n}`);
  }
  const numbers = Array.from({ length: 16 }, (_, n) => String(n + 5).padStart(16, "0"));
  expect((await readdir(join(path, "manifests"))).toSorted()).toEqual(
    numbers.map((digits) => `${digits}.json`),
  );
  expect((await readdir(join(path, "compacts"))).toSorted()).toEqual(
    numbers.map((digits) => `${digits}.lease`),
  );
  expect(await readFile(join(path, "manifest.json"), "utf8")).toBe("m20");
  expect(await readFile(join(path, "compact.lease"), "utf8")).toBe("l20");
  expect(await backend.listBlobs("manifests")).toEqual([]);
  expect((await backend.listBlobs("")).toSorted()).toEqual(["compact.lease", "manifest.json"]);
});

test("the copy is never the truth: a lost or forged one changes nothing", async () => {
  const { backend, path } = await openFs();
  await swap(backend, "manifest.json", "one");
  const etag = await swap(backend, "manifest.json", "two");
  await rm(join(path, "manifest.json"));
  expect(await backend.get("manifest.json", { ifNoneMatch: etag })).toMatchObject({
    status: "unchanged",
  });
  expect(await backend.listBlobs("")).toEqual(["manifest.json"]);
  await writeFile(join(path, "manifest.json"), "forged");
  expect(await getText(backend, "manifest.json")).toBe("two");
  await swap(backend, "manifest.json", "three");
  expect(await readFile(join(path, "manifest.json"), "utf8")).toBe("three");
});

test("a plain manifest.json, as the original writes it, is found and swapped", async () => {
  const { backend, path } = await openFs();
  await writeFile(join(path, "manifest.json"), "original");
  const found = await backend.get("manifest.json");
  expect(found).toMatchObject({ status: "found", objectBytes: 8 });
  if (found.status !== "found") return;
  expect(await backend.get("manifest.json", { ifNoneMatch: found.etag })).toMatchObject({
    status: "unchanged",
  });
  const body = Buffer.from("ours");
  expect(await backend.put("manifest.json", body, { ifAbsent: true })).toMatchObject({
    status: "conflict",
  });
  const written = await backend.put("manifest.json", body, { ifMatch: found.etag });
  expect(written.status).toBe("written");
  expect(await readdir(join(path, "manifests"))).toEqual(["0000000000000001.json"]);
  expect(await getText(backend, "manifest.json")).toBe("ours");
  expect(await backend.put("manifest.json", body, { ifMatch: found.etag })).toMatchObject({
    status: "conflict",
  });
});

test("a plain manifest.json that the original rewrote meanwhile is not swapped", async () => {
  const { backend, path } = await openFs();
  await writeFile(join(path, "manifest.json"), "original");
  const found = await backend.get("manifest.json");
  await writeFile(join(path, "manifest.json"), "changed since");
  const ifMatch = found.status === "found" ? found.etag : "";
  const result = await backend.put("manifest.json", Buffer.from("ours"), { ifMatch });
  expect(result.status).toBe("conflict");
  expect(await getText(backend, "manifest.json")).toBe("changed since");
});

class Gate {
  open: () => void = () => undefined;
  readonly opened = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}

/** Stops a writer in the one place where it matters: after its look, before its link. */
class FrozenStaging extends Staging {
  readonly frozen = new Gate();
  readonly thawed = new Gate();

  override async link(from: string, to: string): Promise<LinkOutcome> {
    this.frozen.open();
    await this.thawed.opened;
    return await super.link(from, to);
  }
}

function frozenWriter(path: string): { staging: FrozenStaging; objects: SwappedObjects } {
  const directory = new StoreDirectory(path, {
    durable: false,
    runtime: systemRuntime,
    files: nodeFileSystem,
  });
  const staging = new FrozenStaging(directory);
  return { staging, objects: new SwappedObjects(directory, staging) };
}

const manifest = SwapName.of("manifest.json") ?? expect.unreachable();

test.each([1, 15, 16, 17, 18, 40])(
  "a writer frozen before its link does not create a version anew after %i swaps",
  async (swaps) => {
    const { backend, path } = await openFs();
    const ifMatch = await swap(backend, "manifest.json", "first");
    const { staging, objects } = frozenWriter(path);
    const late = objects.put(manifest, Buffer.from("late"), { ifMatch });
    await staging.frozen.opened;
    for (let n = 1; n <= swaps; n++) await swap(backend, "manifest.json", `swap ${n}`);
    staging.thawed.open();
    expect(await late).toBeUndefined();
    expect(await getText(backend, "manifest.json")).toBe(`swap ${swaps}`);
    const versions = await readdir(join(path, "manifests"));
    expect(versions).toHaveLength(Math.min(16, swaps + 1));
  },
);

test("a writer frozen before its link does not bring back what was deleted", async () => {
  const { backend, path } = await openFs();
  const ifMatch = await swap(backend, "manifest.json", "first");
  const { staging, objects } = frozenWriter(path);
  const late = objects.put(manifest, Buffer.from("late"), { ifMatch });
  await staging.frozen.opened;
  await backend.delete(["manifest.json"]);
  staging.thawed.open();
  expect(await late).toBeUndefined();
  expect(await getText(backend, "manifest.json")).toBeUndefined();
});

test("ordinary paths cannot be swapped, and versions cannot be touched as objects", async () => {
  const { backend } = await openFs();
  const etag = await swap(backend, "manifest.json", "one");
  const body = Buffer.from("x");
  await expect(backend.put("a/b.json", body, { ifMatch: etag })).rejects.toMatchObject({
    code: "NOT_SUPPORTED",
  });
  const version = "manifests/0000000000000001.json";
  await expect(backend.put(version, body, "none")).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
  });
  await expect(backend.delete([version])).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await backend.writeBlob("events/0000000000000001.json", "an ordinary blob");
  expect(await backend.listBlobs("events")).toEqual(["0000000000000001.json"]);
});
