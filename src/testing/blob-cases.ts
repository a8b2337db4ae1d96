import assert from "node:assert/strict";
import { assertFails } from "./support.ts";
import type { Case } from "./support.ts";

export const blobCases: readonly Case[] = [
  {
    name: "writeBlob makes directories, takes text or bytes, and replaces",
    run: async ({ backend }) => {
      await backend.writeBlob("data/deep/file.jsonl", "größe\n");
      const written = await backend.readBlob("data/deep/file.jsonl");
      assert.ok(Buffer.isBuffer(written));
      assert.equal(written.toString("utf8"), "größe\n");
      await backend.writeBlob("data/deep/file.jsonl", Buffer.from([0, 255, 128]));
      assert.deepEqual([...(await backend.readBlob("data/deep/file.jsonl"))], [0, 255, 128]);
      await backend.writeBlob("empty", "");
      assert.equal((await backend.readBlob("empty")).length, 0);
    },
  },
  {
    name: "readBlobRange returns what is there, also at and past the end",
    run: async ({ backend }) => {
      await backend.writeBlob("data/file", "0123456789");
      const expected: readonly (readonly [number, number, string])[] = [
        [0, 4, "0123"],
        [3, 4, "3456"],
        [8, 50, "89"],
        [10, 5, ""],
        [99, 5, ""],
        [4, 0, ""],
      ];
      for (const [offset, length, content] of expected) {
        const range = await backend.readBlobRange("data/file", offset, length);
        assert.ok(Buffer.isBuffer(range));
        assert.equal(range.toString(), content, `${offset}+${length}`);
      }
    },
  },
  {
    name: "readBlobRange refuses what is not a non-negative integer",
    run: async ({ backend }) => {
      await backend.writeBlob("data/file", "0123456789");
      for (const [offset, length] of [
        [-1, 5],
        [0, -5],
        [0.5, 1],
        [0, Number.NaN],
      ] as const) {
        const error = await assertFails(
          () => backend.readBlobRange("data/file", offset, length),
          "INVALID_ARGUMENT",
          `range ${offset}+${length}`,
        );
        assert.match(error.message, /non-negative/);
      }
    },
  },
  {
    name: "reading a missing blob rejects; deleting one does not",
    run: async ({ backend }) => {
      const code = "STORE_NOT_FOUND";
      await assertFails(() => backend.readBlob("missing"), code, "readBlob");
      await assertFails(() => backend.readBlobRange("no/such", 0, 1), code, "readBlobRange");
      await backend.deleteBlob("missing");
      await backend.deleteBlob("no/such/blob");
      await backend.deleteBlobDir("missing");
    },
  },
  {
    name: "deleteBlob removes the blob",
    run: async ({ backend }) => {
      await backend.writeBlob("data/file", "x");
      await backend.deleteBlob("data/file");
      await assertFails(() => backend.readBlob("data/file"), "STORE_NOT_FOUND", "readBlob");
      assert.deepEqual(await backend.listBlobs("data"), []);
    },
  },
  {
    name: "listBlobs returns the base names of direct children; directories may be among them",
    run: async ({ backend }) => {
      const listed = async (prefix: string, directories: readonly string[]): Promise<string[]> => {
        const names = await backend.listBlobs(prefix);
        assert.equal(new Set(names).size, names.length, "each name once");
        return names.filter((name) => !directories.includes(name)).toSorted();
      };
      for (const path of ["data/a", "data/b.json", "data/deep/c", "database/d", "top"]) {
        await backend.writeBlob(path, path);
      }
      assert.deepEqual(await listed("data", ["deep"]), ["a", "b.json"]);
      assert.deepEqual(await listed("data/", ["deep"]), ["a", "b.json"]);
      assert.deepEqual(await backend.listBlobs("data/deep"), ["c"]);
      assert.deepEqual(await backend.listBlobs("missing"), []);
      assert.deepEqual(await backend.listBlobs("top"), []);
      assert.deepEqual(await listed("", ["data", "database"]), ["top"]);
    },
  },
  {
    name: "deleteBlobDir removes everything below, and nothing beside",
    run: async ({ backend }) => {
      for (const path of ["data/a", "data/deep/er/b", "data2/c", "datum"]) {
        await backend.writeBlob(path, path);
      }
      await backend.deleteBlobDir("data");
      assert.deepEqual(await backend.listBlobs("data"), []);
      assert.deepEqual(await backend.listBlobs("data/deep/er"), []);
      assert.equal((await backend.readBlob("data2/c")).toString(), "data2/c");
      assert.equal((await backend.readBlob("datum")).toString(), "datum");
      await backend.writeBlob("data/again", "x");
      assert.deepEqual(await backend.listBlobs("data"), ["again"]);
    },
  },
  {
    name: "blobs are objects: get, put, list and delete see them",
    run: async ({ backend }) => {
      await backend.writeBlob("data/file", "blob");
      assert.equal((await backend.get("data/file")).status, "found");
      await backend.put("data/object", Buffer.from("object"), { ifAbsent: true });
      assert.equal((await backend.readBlob("data/object")).toString(), "object");
      assert.deepEqual((await backend.listBlobs("data")).toSorted(), ["file", "object"]);
      await backend.delete(["data/file"]);
      await assertFails(() => backend.readBlob("data/file"), "STORE_NOT_FOUND", "readBlob");
    },
  },
];
