import assert from "node:assert/strict";
import {
  assertAbsent,
  assertDate,
  assertSameTime,
  bytes,
  find,
  findText,
  put,
  text,
} from "./support.ts";
import type { Case } from "./support.ts";

export const getCases: readonly Case[] = [
  {
    name: "get of an object returns its bytes, size and etag",
    run: async ({ backend }) => {
      const body = new Uint8Array(256).map((_, index) => index);
      const written = await backend.put("dir/bytes.bin", body, "none");
      assert.equal(written.status, "written");
      const found = await find(backend, "dir/bytes.bin");
      assert.deepEqual(new Uint8Array(found.body), body);
      assert.equal(found.objectBytes, 256);
      assert.equal(found.etag, written.etag);
      assert.equal((await find(backend, "dir/bytes.bin")).etag, written.etag);
    },
  },
  {
    name: "get of nothing is absent, with or without a range or an etag",
    run: async ({ backend }) => {
      await put(backend, "dir/there", "x");
      const etag = (await find(backend, "dir/there")).etag;
      await assertAbsent(backend, "dir/not-there");
      await assertAbsent(backend, "no-dir/not-there");
      await assertAbsent(backend, "dir");
      await assertAbsent(backend, "dir/there/below-an-object");
      const ranged = await backend.get("dir/not-there", { range: { offset: 0, length: 1 } });
      assert.equal(ranged.status, "absent");
      const conditional = await backend.get("dir/not-there", { ifNoneMatch: etag });
      assert.equal(conditional.status, "absent");
    },
  },
  {
    name: "get with the current etag is unchanged, until the object is replaced",
    run: async ({ backend }) => {
      const first = await put(backend, "x", "one");
      assert.equal((await backend.get("x", { ifNoneMatch: first })).status, "unchanged");
      const second = await put(backend, "x", "two");
      const after = await find(backend, "x", { ifNoneMatch: first });
      assert.equal(text(after.body), "two");
      assert.equal((await backend.get("x", { ifNoneMatch: second })).status, "unchanged");
    },
  },
  {
    name: "the etag differs after every replacement, also by a body of the same size",
    run: async ({ backend }) => {
      const etags = new Set<string>();
      for (let n = 10; n < 30; n++) etags.add(await put(backend, "x", `value ${n}`));
      assert.equal(etags.size, 20);
    },
  },
  {
    name: "a range returns what is there: inside, across, at and past the end, and of no length",
    run: async ({ backend }) => {
      await put(backend, "digits", "0123456789");
      const whole = await find(backend, "digits");
      const expected: readonly (readonly [number, number, string])[] = [
        [0, 3, "012"],
        [4, 1, "4"],
        [7, 3, "789"],
        [7, 100, "789"],
        [0, 1_000_000_000, "0123456789"],
        [10, 5, ""],
        [11, 5, ""],
        [1_000_000, 1, ""],
        [0, 0, ""],
        [5, 0, ""],
        [10, 0, ""],
        [50, 0, ""],
      ];
      for (const [offset, length, content] of expected) {
        const found = await find(backend, "digits", { range: { offset, length } });
        assert.equal(text(found.body), content, `range ${offset}+${length}`);
        assert.equal(found.objectBytes, 10, `objectBytes of range ${offset}+${length}`);
        assert.equal(found.etag, whole.etag, `etag of range ${offset}+${length}`);
      }
    },
  },
  {
    name: "an empty object is found, whole and by any range",
    run: async ({ backend }) => {
      await put(backend, "empty", "");
      for (const range of [undefined, { offset: 0, length: 5 }, { offset: 3, length: 0 }]) {
        const found = await find(backend, "empty", { range });
        assert.equal(found.body.byteLength, 0);
        assert.equal(found.objectBytes, 0);
      }
    },
  },
  {
    name: "dates are ms since 1970 by one clock",
    run: async ({ backend }) => {
      const written = await backend.put("x", bytes("one"), "none");
      const found = await find(backend, "x");
      assertSameTime(written.dateMs, found.dateMs);
      assertSameTime(found.dateMs, found.lastModifiedMs);
      const unchanged = await backend.get("x", { ifNoneMatch: found.etag });
      assertSameTime(found.dateMs, unchanged.dateMs);
      assertSameTime(found.dateMs, (await backend.get("absent")).dateMs);
      const conflict = await backend.put("x", bytes("two"), { ifAbsent: true });
      assertSameTime(found.dateMs, conflict.dateMs);
      assertDate((await find(backend, "x")).lastModifiedMs);
      assert.equal((await find(backend, "x")).lastModifiedMs, found.lastModifiedMs);
    },
  },
  {
    name: "a body handed out is the caller's own: changing it changes no object",
    run: async ({ backend }) => {
      await put(backend, "x", "original");
      (await find(backend, "x")).body.fill(0);
      assert.equal(await findText(backend, "x"), "original");
    },
  },
  {
    name: "a second backend on the same location sees the same objects and etags",
    run: async ({ backend, reopen }) => {
      if (reopen === undefined) return;
      const other = await reopen();
      try {
        const etag = await put(backend, "dir/x", "one");
        assert.equal(await findText(other, "dir/x"), "one");
        assert.equal((await other.get("dir/x", { ifNoneMatch: etag })).status, "unchanged");
        await put(other, "dir/x", "two");
        assert.equal(await findText(backend, "dir/x"), "two");
        await other.delete(["dir/x"]);
        await assertAbsent(backend, "dir/x");
      } finally {
        await other.shutdown();
      }
    },
  },
  {
    name: "shutdown may be called twice, and initialize again afterwards",
    run: async ({ backend, location }) => {
      await put(backend, "x", "one");
      await backend.shutdown();
      await backend.shutdown();
      await backend.initialize(location, { readOnly: true });
      assert.equal(await findText(backend, "x"), "one");
      await backend.initialize(location, { readOnly: false });
      await put(backend, "x", "two");
      assert.equal(await findText(backend, "x"), "two");
    },
  },
];
