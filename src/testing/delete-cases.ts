import assert from "node:assert/strict";
import { assertAbsent, findText, listPaths, put } from "./support.ts";
import type { Case } from "./support.ts";

export const deleteCases: readonly Case[] = [
  {
    name: "delete removes the objects named and no other",
    run: async ({ backend }) => {
      for (const path of ["a/1", "a/2", "a/3", "b/1"]) await put(backend, path, path);
      await backend.delete(["a/1", "b/1"]);
      await assertAbsent(backend, "a/1");
      await assertAbsent(backend, "b/1");
      assert.deepEqual(await listPaths(backend, ""), ["a/2", "a/3"]);
    },
  },
  {
    name: "delete of absent paths, of the same path twice and of nothing is fine",
    run: async ({ backend }) => {
      await put(backend, "there", "x");
      await put(backend, "dir/stays", "x");
      await backend.delete(["not-there", "there", "no-dir/not-there", "there"]);
      await backend.delete(["there"]);
      await backend.delete(["there/below"]);
      await backend.delete([]);
      await assertAbsent(backend, "there");
      assert.equal(await findText(backend, "dir/stays"), "x");
    },
  },
  {
    name: "delete of a path that others lie below leaves those",
    run: async ({ backend }) => {
      await put(backend, "dir/object", "x");
      await backend.delete(["dir"]);
      assert.equal(await findText(backend, "dir/object"), "x");
    },
  },
  {
    name: "delete called by two at once is fine for both",
    run: async ({ backend, reopen }) => {
      const other = (await reopen?.()) ?? backend;
      const paths = Array.from({ length: 40 }, (_, n) => `dir/${n}`);
      for (const path of paths) await put(backend, path, "x");
      await Promise.all([backend.delete(paths), other.delete(paths.toReversed())]);
      assert.deepEqual(await listPaths(backend, ""), []);
      if (other !== backend) await other.shutdown();
    },
  },
];
