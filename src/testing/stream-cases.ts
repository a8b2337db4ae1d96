import assert from "node:assert/strict";
import { assertAbsent, bytes, find, findText, put } from "./support.ts";
import type { Case } from "./support.ts";

/** Odd sizes around the part sizes that media use, and chunks of nothing. */
const CHUNK_BYTES = [1, 0, 7, 65_537, 3_000_001, 13, 5_242_880, 0, 1_048_579, 11];

async function* chunksOf(...contents: string[]): AsyncGenerator<Uint8Array> {
  for (const content of contents) yield await Promise.resolve(bytes(content));
}

function* largeChunks(): Generator<Buffer> {
  let n = 0;
  for (const length of CHUNK_BYTES) {
    const chunk = Buffer.alloc(length);
    for (let index = 0; index < length; index += 997) chunk[index] = ++n & 0xff;
    yield chunk;
  }
}

async function* largeStream(): AsyncGenerator<Uint8Array> {
  for (const chunk of largeChunks()) yield await Promise.resolve(chunk);
}

async function* failingStream(byteCount: number): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(new Uint8Array(byteCount));
  throw new Error("the producer failed");
}

export const streamCases: readonly Case[] = [
  {
    name: "put of a stream joins its chunks",
    run: async ({ backend }) => {
      const body = chunksOf("one, ", "", "two, ", "three");
      const result = await backend.put("dir/x", body, { ifAbsent: true });
      assert.equal(result.status, "written");
      assert.equal(await findText(backend, "dir/x"), "one, two, three");
      assert.equal((await find(backend, "dir/x")).etag, result.etag);
      await backend.put("dir/x", chunksOf("replaced"), "none");
      assert.equal(await findText(backend, "dir/x"), "replaced");
    },
  },
  {
    name: "put of a stream without bytes makes an empty object",
    run: async ({ backend }) => {
      for (const [path, body] of [
        ["no-chunks", chunksOf()],
        ["empty-chunks", chunksOf("", "")],
      ] as const) {
        await backend.put(path, body, { ifAbsent: true });
        assert.equal((await find(backend, path)).objectBytes, 0);
      }
    },
  },
  {
    name: "put of a stream of more than 8 MiB in odd chunks keeps every byte",
    run: async ({ backend }) => {
      const expected = Buffer.concat([...largeChunks()]);
      assert.ok(expected.length > 8 * 1024 * 1024);
      await backend.put("large", largeStream(), { ifAbsent: true });
      const found = await find(backend, "large");
      assert.equal(found.objectBytes, expected.length);
      assert.ok(expected.equals(found.body), "the bytes differ");
      const again = await backend.put("large", largeStream(), { ifAbsent: true });
      assert.equal(again.status, "conflict");
      await backend.put("small", chunksOf("x"), "none");
      await backend.put("small", largeStream(), "none");
      assert.ok(expected.equals((await find(backend, "small")).body), "the bytes differ");
    },
  },
  {
    name: "put ifAbsent of a stream conflicts with what is there and leaves it",
    run: async ({ backend }) => {
      await put(backend, "x", "there");
      const result = await backend.put("x", chunksOf("a", "b"), { ifAbsent: true });
      assert.equal(result.status, "conflict");
      assert.equal(await findText(backend, "x"), "there");
    },
  },
  {
    name: "of racing streams exactly one creates the object",
    run: async ({ backend }) => {
      const names = ["one", "two", "three", "four"];
      const results = await Promise.all(
        names.map((name) => backend.put("x", chunksOf(name, "!"), { ifAbsent: true })),
      );
      const winners = names.filter((_, n) => results[n]?.status === "written");
      assert.equal(winners.length, 1, `winners: ${winners.join(", ")}`);
      assert.equal(await findText(backend, "x"), `${winners[0]}!`);
    },
  },
  {
    name: "a stream that fails rejects the put and leaves no object",
    run: async ({ backend }) => {
      for (const byteCount of [10, 9 * 1024 * 1024]) {
        await assert.rejects(backend.put("dir/x", failingStream(byteCount), { ifAbsent: true }));
        await assertAbsent(backend, "dir/x");
      }
      await put(backend, "dir/y", "old");
      await assert.rejects(backend.put("dir/y", failingStream(10), "none"));
      assert.equal(await findText(backend, "dir/y"), "old");
    },
  },
];
