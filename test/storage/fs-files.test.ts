import { mkdir, readdir, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { systemRuntime } from "../../src/core/runtime.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { getText, openFs, testDirectory } from "./open-fs.ts";

const DENIED = { code: "ACCESS_DENIED" };
const INVALID = { code: "INVALID_ARGUMENT" };

test("initialize makes a directory; it takes paths, relative ones, file URLs", async () => {
  const parent = await testDirectory();
  const path = join(parent, "with space", "store");
  const { backend } = await openFs(pathToFileURL(path).href);
  await backend.writeBlob("x", "one");
  expect(await getText((await openFs(path)).backend, "x")).toBe("one");
  expect(await getText((await openFs(relative(process.cwd(), path))).backend, "x")).toBe("one");
});

test("readOnly on nothing is refused and creates nothing", async () => {
  const parent = await testDirectory();
  const opening = new FsBackend().initialize(join(parent, "a", "b"), { readOnly: true });
  await expect(opening).rejects.toMatchObject({
    code: "STORE_NOT_FOUND",
    message: "Cannot open in readOnly mode: no existing store found",
  });
  expect(await readdir(parent)).toEqual([]);
});

test("readOnly on a directory writes nothing there", async () => {
  const path = await testDirectory();
  const backend = new FsBackend();
  await backend.initialize(path, { readOnly: true });
  expect((await backend.get("manifest.json")).status).toBe("absent");
  expect(await backend.listBlobs("")).toEqual([]);
  expect(await readdir(path)).toEqual([]);
});

test("a location that is no directory is refused", async () => {
  const path = await testDirectory();
  await writeFile(join(path, "file"), "");
  const open = (location: string): Promise<void> =>
    new FsBackend().initialize(location, { readOnly: false });
  await expect(open(join(path, "file"))).rejects.toMatchObject(INVALID);
  await expect(open(join(path, "file", "below"))).rejects.toMatchObject(INVALID);
  await expect(open("s3://bucket/prefix")).rejects.toThrow("another backend is needed");
  await expect(open("file://host/path")).rejects.toMatchObject(INVALID);
  await expect(open("")).rejects.toMatchObject(INVALID);
});

test("unknown options, and use before initialize, are refused", async () => {
  const options: object = { sync: true };
  expect(() => new FsBackend(options)).toThrow("unknown option of FsBackend: sync");
  await expect(new FsBackend().get("x")).rejects.toMatchObject({ code: "NOT_OPEN" });
  expect(() => new FsBackend({ fsync: undefined, runtime: undefined })).not.toThrow();
});

test("initialize for writing removes leftovers older than an hour, and no others", async () => {
  const { backend, path } = await openFs();
  await backend.writeBlob("x", "x");
  const staging = join(path, ".tmp");
  const nowSeconds = systemRuntime.nowMs() / 1_000;
  for (const [name, age] of [
    ["old", 3_700],
    ["swap-manifest.json-0000000000000002-1-1-00", 3_700],
    ["recent", 3_500],
    ["claim-old", 3_700],
  ] as const) {
    await writeFile(join(staging, name), "");
    await utimes(join(staging, name), nowSeconds - age, nowSeconds - age);
  }
  await backend.initialize(path, { readOnly: true });
  expect(await readdir(staging)).toHaveLength(4);
  await backend.initialize(path, { readOnly: false });
  expect((await readdir(staging)).toSorted()).toEqual(["claim-old", "recent"]);
  expect(await backend.listBlobs("")).toEqual(["x"]);
});

test("no write leaves anything in staging, whether it succeeds, conflicts or fails", async () => {
  const { backend, path } = await openFs();
  const body = Buffer.from("x");
  await backend.put("a", body, { ifAbsent: true });
  await backend.put("a", body, { ifAbsent: true });
  await backend.put("a", body, "none");
  await backend.put("manifest.json", body, { ifAbsent: true });
  await backend.put("manifest.json", body, { ifAbsent: true });
  await backend.put("manifest.json", body, "none");
  await backend.put("manifest.json", body, { ifMatch: '"other"' });
  await expect(backend.put("a/b", body, "none")).rejects.toMatchObject(INVALID);
  expect(await readdir(join(path, ".tmp"))).toEqual([]);
});

test("symbolic links inside the store are refused, for reading, writing and listing", async () => {
  const outside = await testDirectory();
  await writeFile(join(outside, "secret"), "secret");
  const { backend, path } = await openFs();
  await mkdir(join(path, "data"));
  await symlink(outside, join(path, "data", "link"));
  await symlink(join(outside, "secret"), join(path, "secret"));
  const inside = "data/link/secret";
  const body = Buffer.from("x");
  await expect(backend.get(inside)).rejects.toMatchObject(DENIED);
  await expect(backend.get("secret")).rejects.toThrow("symbolic link");
  await expect(backend.put("data/link/new", body, "none")).rejects.toMatchObject(DENIED);
  await expect(backend.put("data/link/a/b", body, { ifAbsent: true })).rejects.toThrow("symbolic");
  await expect(backend.delete([inside])).rejects.toMatchObject(DENIED);
  await expect(backend.listBlobs("data/link")).rejects.toMatchObject(DENIED);
  await expect(backend.listBlobs("")).rejects.toThrow("symbolic link");
  await expect(backend.deleteBlobDir("data")).rejects.toMatchObject(DENIED);
  await expect(backend.appendable.create("data/link/log")).rejects.toMatchObject(DENIED);
  await expect(backend.appendable.exists(inside)).rejects.toMatchObject(DENIED);
  expect(await backend.appendable.create("secret")).toBeUndefined();
  expect(await readdir(outside)).toEqual(["secret"]);
  // A replacement takes the place of the link; what it led to stays.
  await backend.put("secret", body, "none");
  expect(await getText(backend, "secret")).toBe("x");
  expect((await stat(join(outside, "secret"))).size).toBe(6);
});

test("the location itself may be a symbolic link", async () => {
  const { backend, path } = await openFs();
  await backend.writeBlob("a/x", "one");
  const link = join(await testDirectory(), "link");
  await symlink(path, link);
  expect(await getText((await openFs(link)).backend, "a/x")).toBe("one");
});

test("a directory in the place of an object, and an object in that of a directory", async () => {
  const { backend } = await openFs();
  const body = Buffer.from("x");
  await backend.writeBlob("dir/file", "x");
  await expect(backend.put("dir", body, "none")).rejects.toMatchObject(INVALID);
  await expect(backend.put("dir", body, { ifAbsent: true })).rejects.toMatchObject(INVALID);
  await expect(backend.put("dir/file/below", body, "none")).rejects.toMatchObject(INVALID);
  await expect(backend.appendable.create("dir/file/below")).rejects.toMatchObject(INVALID);
  const long = "n".repeat(300);
  await expect(backend.put(long, body, "none")).rejects.toThrow("too long");
});

test("the backend's own paths hold no objects", async () => {
  const { backend } = await openFs();
  for (const path of [".tmp", ".tmp/x", ".lock"]) {
    await expect(backend.writeBlob(path, "x")).rejects.toMatchObject(INVALID);
    await expect(backend.appendable.create(path)).rejects.toMatchObject(INVALID);
  }
  await backend.writeBlob(".tmpx/.lock", "fine");
  expect(await backend.listBlobs(".tmpx")).toEqual([".lock"]);
});

test("deleteBlobDir removes emptied directories; writing creates them again", async () => {
  const { backend, path } = await openFs();
  const { backend: other } = await openFs(path);
  await backend.writeBlob("data/deep/x", "x");
  await other.writeBlob("data/deep/y", "y");
  await backend.deleteBlobDir("data");
  expect(await readdir(path)).toEqual([".tmp"]);
  // The other one has checked and made these directories before.
  await other.put("data/deep/z", Buffer.from("z"), { ifAbsent: true });
  await backend.deleteBlobDir("data");
  await other.writeBlob("data/deep/z", "z");
  await backend.deleteBlobDir("data");
  expect(await other.appendable.create("data/deep/log")).toBeDefined();
});

test("new files have the permissions of the umask", async () => {
  const { backend, path } = await openFs();
  await backend.writeBlob("x", "x");
  const expected = 0o666 & ~process.umask();
  expect((await stat(join(path, "x"))).mode & 0o777).toBe(expected);
});

test("dates come from the runtime, to the ms", async () => {
  let nowMs = 1_700_000_000_000;
  const runtime = { ...systemRuntime, nowMs: () => nowMs };
  const { backend } = await openFs(undefined, { fsync: false, runtime });
  for (const path of ["x", "compact.lease"]) {
    nowMs += 1_001;
    await backend.put(path, Buffer.from("x"), "none");
    const lastModifiedMs = nowMs;
    nowMs += 5_000;
    expect(await backend.get(path)).toMatchObject({ lastModifiedMs, dateMs: nowMs });
  }
});
