import assert from "node:assert/strict";
import { append } from "../core/bulk.ts";
import { assertSameTime, find, findText, forEachParallel, listPages } from "./support.ts";
import { bytes, listPaths, put } from "./support.ts";
import type { Case } from "./support.ts";

/** More than one page of S3. */
const MANY = 1_101;

const ODD_NAMES = [
  "odd/with space",
  "odd/ leading and trailing ",
  "odd/a+b",
  "odd/A",
  "odd/%41",
  "odd/%2F%2e%2e",
  "odd/=",
  "odd/a=b&c?d#e;f,g@h!i$j",
  "odd/'single' \"double\" `back`",
  "odd/<tag>&amp;</tag>",
  "odd/(round)[square]{curly}~*|^",
  "odd/__proto__",
  "odd/constructor/hasOwnProperty",
  "odd/...",
  "odd/.hidden",
  "odd/-dash",
  "odd/größe/日本語/🎈",
  `odd/${"long-".repeat(40)}/${"path-".repeat(40)}/${"name-".repeat(40)}/end`,
  `odd/${"n".repeat(250)}`,
];

export const listCases: readonly Case[] = [
  {
    name: "list returns every object below a prefix, nested ones too, and nothing beside it",
    run: async ({ backend }) => {
      const inside = ["a/1", "a/b/2", "a/b/c/d/3", "a/z"];
      const outside = ["ab/x", "a.x", "a-/y", "b/a/1"];
      for (const path of [...inside, ...outside]) await put(backend, path, path);
      assert.deepEqual(await listPaths(backend, "a/"), inside);
      assert.deepEqual(await listPaths(backend, "a/b/"), ["a/b/2", "a/b/c/d/3"]);
      assert.deepEqual(await listPaths(backend, ""), [...inside, ...outside].toSorted());
    },
  },
  {
    name: "list of a prefix without objects is empty",
    run: async ({ backend }) => {
      assert.deepEqual(await listPaths(backend, ""), []);
      assert.deepEqual(await listPaths(backend, "nothing/"), []);
      await put(backend, "object", "x");
      assert.deepEqual(await listPaths(backend, "object/"), []);
      await put(backend, "dir/object", "x");
      await backend.delete(["dir/object"]);
      assert.deepEqual(await listPaths(backend, "dir/"), []);
    },
  },
  {
    name: "list returns sizes and dates that agree with get",
    run: async ({ backend }) => {
      await put(backend, "dir/empty", "");
      await put(backend, "dir/five", "12345");
      const pages = await listPages(backend, "dir/");
      assert.equal(pages.flatMap(({ objects }) => objects).length, 2);
      for (const { objects, dateMs } of pages) {
        for (const { path, bytes: size, lastModifiedMs } of objects) {
          const found = await find(backend, path);
          assert.equal(size, found.objectBytes, path);
          // HTTP dates have whole seconds where listings have milliseconds.
          assert.ok(Math.abs(lastModifiedMs - found.lastModifiedMs) < 1_000, path);
          assertSameTime(lastModifiedMs, dateMs);
        }
      }
    },
  },
  {
    name: "list reflects every put and delete that completed before it",
    run: async ({ backend }) => {
      for (let n = 0; n < 10; n++) {
        await backend.put(`dir/${n}`, bytes("x"), { ifAbsent: true });
        assert.equal((await listPaths(backend, "dir/")).length, n + 1);
      }
      for (let n = 0; n < 10; n++) {
        await backend.delete([`dir/${n}`]);
        assert.equal((await listPaths(backend, "dir/")).length, 9 - n);
      }
    },
  },
  {
    name: `list returns ${MANY} objects once each, in pages; delete takes them all at once`,
    run: async ({ backend }) => {
      const directory = (n: number): string => (n % 50 === 0 ? "few" : "most");
      const numbers = Array.from({ length: MANY }, (_, n) => n);
      const paths = numbers.map((n) => `many/${directory(n)}/${n}`).toSorted();
      const few = Math.ceil(MANY / 50);
      await forEachParallel(paths, (path) => backend.put(path, bytes(path), { ifAbsent: true }));
      assert.deepEqual(await listPaths(backend, "many/"), paths);
      assert.equal((await listPaths(backend, "many/few/")).length, few);
      assert.equal((await backend.listBlobs("many/most")).length, MANY - few);
      await backend.delete(paths);
      assert.deepEqual(await listPaths(backend, "many/"), []);
    },
  },
  {
    name: "list in order, if the backend declares that, begins behind any text",
    run: async ({ backend }) => {
      if (backend.listsInOrder !== true) return;
      const paths = ["a/0/x", "a/1", "a/10", "a/2/b", "a/Z", "a/z"];
      for (const path of paths.toReversed()) await put(backend, path, path);
      for (const after of ["", "a/", "a/0/x", "a/1/", "a/1/zzz", "a/3", "a/z", "b"]) {
        const found: string[] = [];
        for await (const { objects } of backend.list("a/", { after }))
          append(
            found,
            objects.map(({ path }) => path),
          );
        const expected = paths.filter((path) => path > after);
        assert.deepEqual(found, expected, `after ${JSON.stringify(after)}`);
      }
    },
  },
  {
    name: "list that is not read to its end, and lists at the same time, do no harm",
    run: async ({ backend }) => {
      for (let n = 0; n < 5; n++) await put(backend, `dir/${n}`, "x");
      for await (const page of backend.list("dir/")) {
        assert.ok(page.objects.length > 0);
        break;
      }
      const both = await Promise.all([listPaths(backend, "dir/"), listPaths(backend, "dir/")]);
      assert.deepEqual(both[0], both[1]);
      assert.equal(both[0].length, 5);
    },
  },
  {
    name: "list may be used to delete what it returns",
    run: async ({ backend }) => {
      const paths = Array.from({ length: 50 }, (_, n) => `dir/${n % 3}/${n}`);
      await forEachParallel(paths, (path) => put(backend, path, "x"));
      const seen: string[] = [];
      for await (const { objects } of backend.list("dir/")) {
        append(
          seen,
          objects.map(({ path }) => path),
        );
        await backend.delete(objects.map(({ path }) => path));
      }
      assert.deepEqual(seen.toSorted(), paths.toSorted());
      assert.deepEqual(await listPaths(backend, "dir/"), []);
    },
  },
  {
    name: "odd names work everywhere and stay apart",
    run: async ({ backend }) => {
      for (const path of ODD_NAMES) {
        const created = await backend.put(path, bytes(path), { ifAbsent: true });
        assert.equal(created.status, "written", path);
      }
      for (const path of ODD_NAMES) assert.equal(await findText(backend, path), path);
      assert.deepEqual(await listPaths(backend, "odd/"), ODD_NAMES.toSorted());
      assert.deepEqual(await listPaths(backend, "odd/größe/"), ["odd/größe/日本語/🎈"]);
      assert.deepEqual(await backend.listBlobs("odd/constructor"), ["hasOwnProperty"]);
      await backend.delete(ODD_NAMES);
      assert.deepEqual(await listPaths(backend, "odd/"), []);
    },
  },
];
