import assert from "node:assert/strict";
import { append } from "../core/bulk.ts";
import type { ListedObject, StorageBackend } from "../storage/backend.ts";
import { assertAbsent, bytes, find, findText, put, text } from "./support.ts";
import type { Case } from "./support.ts";

/**
 * The only paths replaced by compare-and-swap: `manifest.json` and `*.lease` at the top level.
 * A backend need not offer `ifMatch` elsewhere.
 */
const SWAPPED_PATHS = ["manifest.json", "counter.lease"] as const;

const WORKERS = 5;
const INCREMENTS = 10;
/** Every conflict means that another worker got on, so more than this is a livelock. */
const ATTEMPTS_MAX = 20 * WORKERS * INCREMENTS;

export const swapCases: readonly Case[] = SWAPPED_PATHS.flatMap((path): Case[] => [
  {
    name: `put ifMatch replaces ${path} only over exactly that etag`,
    run: async ({ backend }) => {
      const created = await backend.put(path, bytes("one"), { ifAbsent: true });
      assert.equal(created.status, "written");
      const swapped = await backend.put(path, bytes("two"), { ifMatch: created.etag });
      assert.equal(swapped.status, "written");
      assert.notEqual(swapped.etag, created.etag);
      const found = await find(backend, path);
      assert.equal(text(found.body), "two");
      assert.equal(found.etag, swapped.etag);
      const stale = await backend.put(path, bytes("three"), { ifMatch: created.etag });
      assert.equal(stale.status, "conflict");
      assert.equal(await findText(backend, path), "two");
      assert.equal((await backend.get(path, { ifNoneMatch: swapped.etag })).status, "unchanged");
    },
  },
  {
    name: `put ifMatch of an absent ${path} conflicts and creates nothing`,
    run: async ({ backend }) => {
      const created = await backend.put(path, bytes("one"), { ifAbsent: true });
      assert.equal(created.status, "written");
      await backend.delete([path]);
      await assertAbsent(backend, path);
      const result = await backend.put(path, bytes("two"), { ifMatch: created.etag });
      assert.equal(result.status, "conflict");
      await assertAbsent(backend, path);
      const other = await backend.put("other.lease", bytes("x"), { ifMatch: created.etag });
      assert.equal(other.status, "conflict");
      await assertAbsent(backend, "other.lease");
    },
  },
  {
    name: `an etag of ${path} from before it was deleted and made anew does not match`,
    run: async ({ backend }) => {
      const first = await backend.put(path, bytes("first life"), { ifAbsent: true });
      assert.equal(first.status, "written");
      await backend.delete([path]);
      await backend.put(path, bytes("second life"), { ifAbsent: true });
      const result = await backend.put(path, bytes("ghost"), { ifMatch: first.etag });
      assert.equal(result.status, "conflict");
      assert.equal(await findText(backend, path), "second life");
    },
  },
  {
    name: `put "none" of ${path} replaces it, and its old etag no longer matches`,
    run: async ({ backend }) => {
      const old = await put(backend, path, "one");
      const current = await put(backend, path, "two");
      assert.equal(await findText(backend, path), "two");
      const stale = await backend.put(path, bytes("three"), { ifMatch: old });
      assert.equal(stale.status, "conflict");
      const swapped = await backend.put(path, bytes("four"), { ifMatch: current });
      assert.equal(swapped.status, "written");
      assert.equal(await findText(backend, path), "four");
    },
  },
  {
    name: `an etag of ${path} stays stale after many replacements`,
    run: async ({ backend }) => {
      const first = await put(backend, path, "0");
      let etag = first;
      for (let n = 1; n <= 40; n++) {
        const result = await backend.put(path, bytes(String(n)), { ifMatch: etag });
        assert.equal(result.status, "written");
        etag = result.etag;
      }
      const stale = await backend.put(path, bytes("stale"), { ifMatch: first });
      assert.equal(stale.status, "conflict");
      assert.equal(await findText(backend, path), "40");
    },
  },
  {
    name: `of ${WORKERS} workers swapping ${path} no increment is lost or made twice`,
    run: async ({ backend, reopen }) => {
      const other = (await reopen?.()) ?? backend;
      await backend.put(path, bytes(""), { ifAbsent: true });
      await Promise.all(
        Array.from({ length: WORKERS }, async (_, n) => {
          await addMarks(n % 2 === 0 ? backend : other, path, `worker ${n}`);
        }),
      );
      const marks = (await findText(other, path)).trim().split("\n");
      assert.equal(marks.length, WORKERS * INCREMENTS);
      assert.equal(new Set(marks).size, WORKERS * INCREMENTS);
      if (other !== backend) await other.shutdown();
    },
  },
  {
    name: `${path} is listed once, with its size, and not after it was deleted`,
    run: async ({ backend }) => {
      await put(backend, path, "one");
      await put(backend, path, "two!");
      const listed: ListedObject[] = [];
      for await (const page of backend.list("")) append(listed, page.objects);
      assert.deepEqual(
        listed.map((object) => [object.path, object.bytes]),
        [[path, 4]],
      );
      await backend.delete([path]);
      for await (const page of backend.list("")) assert.deepEqual(page.objects, []);
    },
  },
]);

/** Appends marks by compare-and-swap, each exactly once. */
async function addMarks(backend: StorageBackend, path: string, worker: string): Promise<void> {
  let attempts = 0;
  for (let n = 0; n < INCREMENTS; n++) {
    const mark = `${worker} increment ${n}`;
    for (;;) {
      assert.ok(++attempts <= ATTEMPTS_MAX, `${worker} does not get on`);
      const { body, etag } = await find(backend, path);
      // A conflict may hide that our own earlier attempt took effect; what is read decides.
      if (text(body).split("\n").includes(mark)) break;
      const next = bytes(`${text(body)}${mark}\n`);
      if ((await backend.put(path, next, { ifMatch: etag })).status === "written") break;
    }
  }
}
