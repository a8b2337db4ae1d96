import { describe, test } from "vitest";
import { FsBackend } from "../../src/storage/fs-backend.ts";
import { backendSuite } from "../../src/testing/index.ts";
import { tempDir } from "../support/temp-dir.ts";

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
