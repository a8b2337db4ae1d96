import assert from "node:assert/strict";
import { assertAbsent, bytes, find, findText, put } from "./support.ts";
import type { Case } from "./support.ts";

/** Create-only puts and plain replacement. */
export const createCases: readonly Case[] = [
  {
    name: "put ifAbsent creates once; later ones conflict and change nothing",
    run: async ({ backend }) => {
      const first = await backend.put("a/b/c", bytes("first"), { ifAbsent: true });
      assert.equal(first.status, "written");
      const second = await backend.put("a/b/c", bytes("second"), { ifAbsent: true });
      assert.equal(second.status, "conflict");
      const found = await find(backend, "a/b/c");
      assert.equal(found.etag, first.etag);
      assert.equal(await findText(backend, "a/b/c"), "first");
    },
  },
  {
    name: "put ifAbsent conflicts with an object that was written without a precondition",
    run: async ({ backend }) => {
      await put(backend, "x", "plain");
      const result = await backend.put("x", bytes("created"), { ifAbsent: true });
      assert.equal(result.status, "conflict");
      assert.equal(await findText(backend, "x"), "plain");
    },
  },
  {
    name: "put ifAbsent works again after a delete",
    run: async ({ backend }) => {
      await put(backend, "x", "one");
      await backend.delete(["x"]);
      const again = await backend.put("x", bytes("two"), { ifAbsent: true });
      assert.equal(again.status, "written");
      assert.equal(await findText(backend, "x"), "two");
    },
  },
  ...["race/object.jsonl", "manifest.json", "race.lease"].map((path): Case => ({
    name: `of racing creators of ${path} exactly one wins, and its bytes stay`,
    run: async ({ backend, reopen }) => {
      const other = (await reopen?.()) ?? backend;
      for (let round = 0; round < 3; round++) {
        const names = Array.from({ length: 10 }, (_, n) => `creator ${n} of round ${round}`);
        const results = await Promise.all(
          names.map(async (name, n) => {
            const creator = n % 2 === 0 ? backend : other;
            return await creator.put(path, bytes(name), { ifAbsent: true });
          }),
        );
        const winners = names.filter((_, n) => results[n]?.status === "written");
        assert.equal(winners.length, 1, `winners: ${winners.join(", ")}`);
        assert.equal(await findText(backend, path), winners[0]);
        assert.equal(await findText(other, path), winners[0]);
        await backend.delete([path]);
      }
      if (other !== backend) await other.shutdown();
    },
  })),
  {
    name: 'put "none" creates and replaces, with longer and shorter bodies',
    run: async ({ backend }) => {
      for (const content of ["middle", "a much longer body than before", "", "x"]) {
        await put(backend, "dir/x", content);
        assert.equal(await findText(backend, "dir/x"), content);
        assert.equal((await find(backend, "dir/x")).objectBytes, content.length);
      }
    },
  },
  {
    name: "put keeps its own copy: changing the caller's buffer afterwards changes nothing",
    run: async ({ backend }) => {
      for (const precondition of [{ ifAbsent: true }, "none"] as const) {
        const body = bytes("original");
        await backend.put("x", body, precondition);
        body.fill(0);
        assert.equal(await findText(backend, "x"), "original");
      }
    },
  },
  {
    name: "put takes a view into a larger buffer as just that view",
    run: async ({ backend }) => {
      const large = bytes("....inside....");
      await backend.put("x", large.subarray(4, 10), "none");
      assert.equal(await findText(backend, "x"), "inside");
    },
  },
  {
    name: "a reader never sees a part of an object, however often it is replaced or created",
    run: async ({ backend, reopen }) => {
      const sizes = [100_000, 300_001, 64, 250_000];
      const reader = (await reopen?.()) ?? backend;
      const writing = new AbortController();
      let seen = 0;
      const read = async (): Promise<void> => {
        while (!writing.signal.aborted) {
          const result = await reader.get("x");
          if (result.status !== "found") continue;
          const { body, objectBytes } = result;
          assert.ok(sizes.includes(body.byteLength), `a part: ${body.byteLength} bytes`);
          assert.equal(objectBytes, body.byteLength);
          assert.ok(
            body.every((byte) => byte === body[0]),
            "bytes of two objects in one body",
          );
          seen++;
        }
      };
      const write = async (): Promise<void> => {
        try {
          for (let n = 0; n < 40; n++) {
            const body = new Uint8Array(sizes[n % sizes.length] ?? 0).fill(n);
            if (n === 20) await backend.delete(["x"]);
            await backend.put("x", body, n % 20 === 0 ? { ifAbsent: true } : "none");
          }
        } finally {
          writing.abort();
        }
      };
      await Promise.all([read(), write()]);
      assert.ok(seen > 0, "the reader saw no object at all");
      if (reader !== backend) await reader.shutdown();
    },
  },
  {
    name: "put takes an object of 9 MiB in one piece",
    run: async ({ backend }) => {
      const body = Buffer.alloc(9 * 1024 * 1024, "0123456789");
      await backend.put("large", body, { ifAbsent: true });
      assert.ok(body.equals((await find(backend, "large")).body));
      const range = { offset: body.length - 5, length: 10 };
      const tail = await find(backend, "large", { range });
      assert.ok(body.subarray(-5).equals(tail.body));
    },
  },
  {
    name: "objects beside each other do not touch each other",
    run: async ({ backend }) => {
      await put(backend, "dir/a", "a");
      await put(backend, "dir/ab", "ab");
      await backend.delete(["dir/a"]);
      await assertAbsent(backend, "dir/a");
      assert.equal(await findText(backend, "dir/ab"), "ab");
    },
  },
];
