import assert from "node:assert/strict";
import type { AppendableStorage, StorageBackend } from "../storage/backend.ts";
import { assertAbsent, assertFails, assertSameTime, bytes, find, findText } from "./support.ts";
import { listPaths, put } from "./support.ts";
import type { Case } from "./support.ts";

/** A case for backends that offer `appendable`. */
function appendCase(
  name: string,
  run: (backend: StorageBackend, appendable: AppendableStorage) => Promise<void>,
): Case {
  return {
    name: `appendable: ${name}`,
    run: async ({ backend }) => {
      if (backend.appendable !== undefined) await run(backend, backend.appendable);
    },
  };
}

export const appendCases: readonly Case[] = [
  appendCase("a created file is an empty object, and exists", async (backend, appendable) => {
    assert.equal(await appendable.exists("log/a.jsonl"), false);
    const file = await appendable.create("log/a.jsonl");
    assert.ok(file);
    assert.equal(await appendable.exists("log/a.jsonl"), true);
    assert.equal((await find(backend, "log/a.jsonl")).objectBytes, 0);
    assert.deepEqual(await listPaths(backend, "log/"), ["log/a.jsonl"]);
    await file.close();
    assert.equal(await appendable.exists("log/a.jsonl"), true);
    await backend.delete(["log/a.jsonl"]);
    assert.equal(await appendable.exists("log/a.jsonl"), false);
    assert.equal(await appendable.exists("log"), false);
  }),
  appendCase("create returns undefined when the path is taken", async (backend, appendable) => {
    const file = await appendable.create("log/a.jsonl");
    assert.ok(file);
    await file.append(bytes("kept"));
    assert.equal(await appendable.create("log/a.jsonl"), undefined);
    await file.close();
    assert.equal(await appendable.create("log/a.jsonl"), undefined);
    assert.equal(await findText(backend, "log/a.jsonl"), "kept");
    await put(backend, "log/object", "kept too");
    assert.equal(await appendable.create("log/object"), undefined);
    assert.equal(await findText(backend, "log/object"), "kept too");
    const occupied = await backend.put("log/a.jsonl", bytes("x"), { ifAbsent: true });
    assert.equal(occupied.status, "conflict");
  }),
  appendCase("of racing creators exactly one gets the file", async (_backend, appendable) => {
    const files = await Promise.all(
      Array.from({ length: 8 }, () => appendable.create("log/a.jsonl")),
    );
    const created = files.filter((file) => file !== undefined);
    assert.equal(created.length, 1);
    await Promise.all(created.map((file) => file.close()));
  }),
  appendCase("appended bytes are readable at once, in order", async (backend, appendable) => {
    const file = await appendable.create("log/a.jsonl");
    assert.ok(file);
    let expected = "";
    let etag = (await find(backend, "log/a.jsonl")).etag;
    for (let n = 0; n < 20; n++) {
      const line = `${n} ${"x".repeat(n * 100)}\n`;
      const { dateMs } = await file.append(bytes(line));
      expected += line;
      const found = await find(backend, "log/a.jsonl");
      assert.equal(found.objectBytes, expected.length);
      assert.notEqual(found.etag, etag);
      assertSameTime(dateMs, found.lastModifiedMs);
      etag = found.etag;
    }
    assert.equal(await findText(backend, "log/a.jsonl"), expected);
    const range = { offset: expected.length - 3, length: 100 };
    assert.equal((await find(backend, "log/a.jsonl", { range })).body.byteLength, 3);
    await file.append(new Uint8Array(0));
    await file.close();
    assert.equal(await findText(backend, "log/a.jsonl"), expected);
  }),
  appendCase(
    "a file is in place until another lies at its path, or none",
    async (backend, appendable) => {
      const file = await appendable.create("log/a.jsonl");
      assert.ok(file);
      assert.equal(await file.isInPlace(), true);
      await file.append(bytes("one\n"));
      assert.equal(await file.isInPlace(), true);
      const copy = await find(backend, "log/a.jsonl");
      await put(backend, "log/a.jsonl", Buffer.from(copy.body).toString());
      assert.equal(await file.isInPlace(), false, "replaced by a copy of itself");
      await backend.delete(["log/a.jsonl"]);
      assert.equal(await file.isInPlace(), false, "deleted");
      await file.close();
    },
  ),
  appendCase("a large append arrives whole", async (backend, appendable) => {
    const file = await appendable.create("a.jsonl");
    assert.ok(file);
    const body = Buffer.alloc(3_000_003, "abcdefg");
    await file.append(body);
    await file.append(bytes("end"));
    await file.close();
    const found = await find(backend, "a.jsonl");
    assert.ok(Buffer.concat([body, bytes("end")]).equals(found.body));
    await backend.delete(["a.jsonl"]);
    await assertAbsent(backend, "a.jsonl");
  }),
];

export const lockCases: readonly Case[] = [
  {
    name: "lock: refused while held, by this backend and by another",
    run: async ({ backend, reopen }) => {
      if (backend.lock === undefined) return;
      const held = await backend.lock(".lock");
      await held.confirm?.();
      await assertFails(() => backend.lock?.(".lock"), "LOCKED", "a second lock");
      if (reopen !== undefined) {
        const other = await reopen();
        await assertFails(() => other.lock?.(".lock"), "LOCKED", "a lock by another backend");
        await other.shutdown();
      }
      assert.deepEqual(await listPaths(backend, ""), [], "a lock is no object");
      await held.release();
    },
  },
  {
    name: "lock: free again after release, which may be repeated",
    run: async ({ backend }) => {
      if (backend.lock === undefined) return;
      const first = await backend.lock(".lock");
      await first.release();
      const second = await backend.lock(".lock");
      await first.release();
      await assertFails(() => backend.lock?.(".lock"), "LOCKED", "a lock after a late release");
      await second.release();
      await (await backend.lock(".lock")).release();
    },
  },
  {
    name: "lock: of many at once exactly one succeeds",
    run: async ({ backend }) => {
      if (backend.lock === undefined) return;
      const lock = backend.lock.bind(backend);
      const results = await Promise.allSettled(Array.from({ length: 8 }, () => lock(".lock")));
      const held = results.filter((result) => result.status === "fulfilled");
      assert.equal(held.length, 1);
      await Promise.all(held.map(({ value }) => value.release()));
    },
  },
];
