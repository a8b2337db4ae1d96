/** File systems and platforms that cannot do all that POSIX asks for: refused at open, or survived. */
import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { nodeFileSystem } from "../../src/storage/fs/file-system.ts";
import type { FileSystem, OpenFile } from "../../src/storage/fs/file-system.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { Store } from "../../src/store/store.ts";
import { compact } from "../../src/compaction/compact.ts";
import { verify } from "../../src/store/verify.ts";
import { testDirectory } from "./open-fs.ts";

function refusal(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: ${syscall}`), { code, syscall });
}

/** Files that are opened get other methods. */
function withFiles(
  change: (file: OpenFile, isDirectory: boolean) => Partial<OpenFile>,
): FileSystem {
  return {
    ...nodeFileSystem,
    open: async (path, flags, mode) => {
      const file = await nodeFileSystem.open(path, flags, mode);
      const isDirectory = (await file.stat({ bigint: true })).isDirectory();
      return Object.assign(file, change(file, isDirectory));
    },
  };
}

const MODES = [
  ["a single writer", {}],
  ["an agent", { agentId: "a", skipLoad: true }],
] as const;

describe("without hard links", () => {
  const codes = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"];
  test.each(codes.flatMap((code) => MODES.map(([mode, options]) => ({ code, mode, options }))))(
    "($code) $mode is refused before anything is written, a reader is not",
    async ({ code, options }) => {
      const path = await testDirectory();
      const link = (): Promise<void> => Promise.reject(refusal(code, "link"));
      const backend = (): FsBackend => new FsBackend({ files: { ...nodeFileSystem, link } });
      const refused = {
        code: "NOT_SUPPORTED",
        action: "fix-call",
        message: expect.stringMatching(`'${path}' has no hard links \\(${code}\\)`),
      };
      await expect(Store.open(path, { ...options, backend: backend() })).rejects.toMatchObject(
        refused,
      );
      await expect(compact(path, { backend: backend() })).rejects.toMatchObject(refused);

      const store = await Store.open<number>(path, options);
      await store.set("copied here", 1);
      await store.close();
      await using reader = await Store.open<number>(path, { readOnly: true, backend: backend() });
      expect(await reader.read("copied here")).toBe(1);
      expect((await verify(path, { backend: backend() })).problems).toEqual([]);
    },
  );
});

async function worksWith(files: FileSystem, fsync: boolean): Promise<void> {
  const path = join(await testDirectory(), "new", "store");
  const backend = new FsBackend({ files, fsync });
  const store = await Store.open<number>(path, { backend });
  await store.set("a", 1);
  await store.compact();
  await store.set("b", 2);
  await store.close();
  await using again = await Store.open<number>(path, { backend: new FsBackend({ files, fsync }) });
  expect(Object.fromEntries(again.entries())).toEqual({ a: 1, b: 2 });
}

describe("survived", () => {
  test.each(["EPERM", "EINVAL", "ENOTSUP", "ENOSYS"])(
    "directories that cannot be synced (%s, as on Windows)",
    async (code) => {
      const files = withFiles((_, isDirectory) =>
        isDirectory ? { sync: () => Promise.reject(refusal(code, "fsync")) } : {},
      );
      for (const fsync of [true, false]) await worksWith(files, fsync);
    },
  );

  test("open files that tell another device than their path does (Windows)", async () => {
    const files = withFiles((file) => {
      const ask = file.stat.bind(file);
      return {
        stat: async (options) => {
          const stats = await ask(options);
          return Object.assign(stats, { dev: stats.dev + 2n ** 32n });
        },
      };
    });
    for (const fsync of [true, false]) await worksWith(files, fsync);
  });

  test.each(["EPERM", "ENOTSUP", "ENOSYS"])("files that cannot be dated (%s)", async (code) => {
    const utimes = (): Promise<void> => Promise.reject(refusal(code, "futime"));
    await worksWith(
      withFiles(() => ({ utimes })),
      true,
    );
  });
});

test("what is not permitted is reported with the call, and not as a want of permissions", async () => {
  const path = await testDirectory();
  const unlink = (): Promise<void> => Promise.reject(refusal("EPERM", "unlink"));
  const backend = new FsBackend({ files: { ...nodeFileSystem, unlink } });
  await expect(Store.open(path, { backend })).rejects.toMatchObject({
    code: "ACCESS_DENIED",
    action: "fix-call",
    message: expect.stringContaining("the system does not permit it (EPERM of unlink)"),
  });
});

test("a read-only file system is called so, also where the directory is still to be made", async () => {
  const path = join(await testDirectory(), "var", "data");
  const mkdirOnReadOnly = (): Promise<undefined> => Promise.reject(refusal("EROFS", "mkdir"));
  const backend = new FsBackend({ files: { ...nodeFileSystem, mkdir: mkdirOnReadOnly } });
  await expect(Store.open(path, { backend })).rejects.toMatchObject({
    code: "ACCESS_DENIED",
    action: "fix-call",
    message: expect.stringContaining("the file system is read-only (EROFS)"),
  });
});

describe("a relative location", () => {
  const cwd = process.cwd();
  afterEach(() => process.chdir(cwd));

  /** Two directories to work in. */
  async function twoPlaces(): Promise<[string, string]> {
    const base = await testDirectory();
    const places: [string, string] = [join(base, "a"), join(base, "b")];
    for (const place of places) await mkdir(place);
    return places;
  }

  test("stays where it was when the store was opened", async () => {
    const [a, b] = await twoPlaces();
    process.chdir(a);
    const store = await Store.open<number>("./data", { agentId: "x", skipLoad: true });
    process.chdir(b);
    await store.set("a", 1);
    await store.compact();
    await store.close();
    await expect(stat(join(b, "data"))).rejects.toMatchObject({ code: "ENOENT" });
    await using there = await Store.open<number>(join(a, "data"), { readOnly: true });
    expect(there.get("a")).toBe(1);
  });

  test("is another place in another directory: a backend in use refuses it", async () => {
    const [a, b] = await twoPlaces();
    const backend = new FsBackend();
    const options = { backend, agentId: "x", skipLoad: true };
    process.chdir(a);
    const first = await Store.open<number>("./data", options);
    process.chdir(b);
    const refused = { code: "INVALID_ARGUMENT", message: expect.stringContaining(join(a, "data")) };
    await expect(Store.open("./data", options)).rejects.toMatchObject(refused);
    await expect(compact("./data", { backend })).rejects.toMatchObject(refused);
    await expect(verify("./data", { backend })).rejects.toMatchObject(refused);
    const second = await Store.open<number>(join(a, "data"), { ...options, agentId: "y" });
    await first.set("one", 1);
    expect(await second.read("one", { freshness: "strong" })).toBe(1);
    await second.close();
    await first.close();
    const third = await Store.open<number>("./data", options);
    expect(await third.read("one")).toBeUndefined();
    await third.close();
  });
});
