import { describe, expect, test } from "vitest";
import { type FileSystem, nodeFileSystem } from "../../src/storage/fs/file-system.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { backendSuite } from "../../src/testing/index.ts";
import { tempDir } from "../support/temp-dir.ts";
import { openFs } from "./open-fs.ts";

describe.each([{ fsync: true }, { fsync: false }])("conformance with %o", (options) => {
  backendSuite({
    test,
    factory: async () => {
      const directory = await tempDir();
      const open = async (): Promise<FsBackend> => {
        const backend = new FsBackend(options);
        await backend.initialize(directory.path, { readOnly: false });
        return backend;
      };
      const backend = await open();
      return {
        backend,
        location: directory.path,
        reopen: open,
        [Symbol.asyncDispose]: async () => {
          await backend.shutdown();
          await directory[Symbol.asyncDispose]();
        },
      };
    },
  });
});

test("thousands of reads at once hold few files open", async () => {
  let open = 0;
  let openMax = 0;
  const files: FileSystem = {
    ...nodeFileSystem,
    open: async (...args) => {
      const handle = await nodeFileSystem.open(...args);
      openMax = Math.max(openMax, ++open);
      const close = handle.close.bind(handle);
      return Object.assign(handle, { close: () => close().finally(() => open--) });
    },
  };
  const { backend } = await openFs(undefined, { files, fsync: false });
  await backend.writeBlob("data/x", "body");
  openMax = 0;
  const reads = Array.from({ length: 6_000 }, () => backend.get("data/x"));
  for (const { status } of await Promise.all(reads)) expect(status).toBe("found");
  expect(openMax).toBeGreaterThan(1);
  expect(openMax).toBeLessThanOrEqual(64);
  expect(open).toBe(0);
});
