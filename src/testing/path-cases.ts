import assert from "node:assert/strict";
import type { StorageBackend } from "../storage/backend.ts";
import { assertFails, bytes, listPaths } from "./support.ts";
import type { Case } from "./support.ts";

const BAD_PREFIXES = [
  "/etc/",
  "..",
  "../",
  "../outside/",
  "./",
  "a/../../outside/",
  "a/./b/",
  "a//b/",
  "a\0b/",
  "a\\..\\..\\b/",
  "a\nb/",
  "\ud800/",
];

const BAD_PATHS = [...BAD_PREFIXES, ...BAD_PREFIXES.map((prefix) => `${prefix}file`), "", "/", "a/"]
  // "..file" is an ordinary name.
  .filter((path) => path !== "..file");

type Call = readonly [name: string, call: (backend: StorageBackend, path: string) => unknown];

const PATH_CALLS: readonly Call[] = [
  ["get", (backend, path) => backend.get(path)],
  ["get of a range", (backend, path) => backend.get(path, { range: { offset: 0, length: 1 } })],
  ["put ifAbsent", (backend, path) => backend.put(path, bytes("x"), { ifAbsent: true })],
  ["put ifMatch", (backend, path) => backend.put(path, bytes("x"), { ifMatch: '"etag"' })],
  ["put none", (backend, path) => backend.put(path, bytes("x"), "none")],
  ["delete", (backend, path) => backend.delete(["good", path])],
  ["writeBlob", (backend, path) => backend.writeBlob(path, "x")],
  ["readBlob", (backend, path) => backend.readBlob(path)],
  ["readBlobRange", (backend, path) => backend.readBlobRange(path, 0, 1)],
  ["deleteBlob", (backend, path) => backend.deleteBlob(path)],
];

const PREFIX_CALLS: readonly Call[] = [
  ["list", (backend, prefix) => drain(backend.list(prefix))],
  ["listBlobs", (backend, prefix) => backend.listBlobs(prefix)],
  ["deleteBlobDir", (backend, prefix) => backend.deleteBlobDir(prefix)],
];

export const pathCases: readonly Case[] = [
  ...PATH_CALLS.map(([name, call]) => refusal(name, call, BAD_PATHS)),
  ...PREFIX_CALLS.map(([name, call]) => refusal(name, call, BAD_PREFIXES)),
  {
    name: "appending, locking: paths that leave the store are refused",
    run: async ({ backend }) => {
      const { appendable } = backend;
      for (const path of BAD_PATHS) {
        const what = JSON.stringify(path);
        if (appendable !== undefined) {
          await assertFails(() => appendable.create(path), "INVALID_ARGUMENT", `create ${what}`);
          await assertFails(() => appendable.exists(path), "INVALID_ARGUMENT", `exists ${what}`);
        }
        if (backend.lock !== undefined) {
          await assertFails(() => backend.lock?.(path), "INVALID_ARGUMENT", `lock ${what}`);
        }
      }
    },
  },
  {
    name: "deleteBlobDir does not take the whole store",
    run: async ({ backend }) => {
      await backend.writeBlob("stays", "x");
      await assertFails(() => backend.deleteBlobDir(""), "INVALID_ARGUMENT", "deleteBlobDir");
      assert.deepEqual(await listPaths(backend, ""), ["stays"]);
    },
  },
];

function refusal(name: string, call: Call[1], refused: readonly string[]): Case {
  return {
    name: `${name}: paths that leave the store are refused`,
    run: async ({ backend }) => {
      await backend.writeBlob("a/b", "stays");
      for (const path of refused) {
        const what = `${name} ${JSON.stringify(path)}`;
        await assertFails(() => call(backend, path), "INVALID_ARGUMENT", what);
      }
      assert.deepEqual(await listPaths(backend, ""), ["a/b"]);
    },
  };
}

async function drain(pages: AsyncIterable<unknown>): Promise<void> {
  for await (const page of pages) assert.ok(page);
}
