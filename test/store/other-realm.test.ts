/** Errors and bytes of Node are no `instanceof` of a realm's own constructors (Jest, vm pools). */
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type * as Package from "../../src/index.ts";
import type * as Errors from "../../src/storage/fs/errors.ts";
import { inOtherRealm } from "../support/other-realm.ts";
import { tempDir } from "../support/temp-dir.ts";

let other: typeof Package & typeof Errors;
beforeAll(async () => {
  other = await inOtherRealm(["index.ts", "storage/fs/errors.ts"]);
});

describe("in another realm", () => {
  test("the realm is another one", () => {
    expect(new other.LockedError("x") instanceof Error).toBe(false);
  });

  test.each([
    ["a single writer", {}],
    ["a lazy agent", { agentId: "a", skipLoad: true }],
  ])("a store on a directory works as %s", async (_, options) => {
    await using directory = await tempDir();
    const path = join(directory.path, "new");
    const store = await other.Store.open<number>(path, options);
    await store.batch(() => {
      for (const id of ["a", "b", "c"]) void store.set(id, 1);
    });
    await store.compact();
    await store.set("a", 2);
    expect(await store.archive((_value, id) => id === "b")).toBe(1);
    await expect(store.delete("none")).rejects.toMatchObject({ code: "RECORD_NOT_FOUND" });
    await store.close();
    const again = await other.Store.open<number>(path, { ...options, readOnly: true });
    expect(Object.fromEntries(await again.readMany(["a", "b", "c"]))).toEqual({ a: 2, c: 1 });
    await again.close();
    expect((await other.verify(path)).problems).toEqual([]);
  });

  test("a store in memory works, and bytes of either realm are bytes", async () => {
    const backend = new other.MemoryBackend();
    const store = await other.Store.open<number>("m", { backend });
    await store.set("a", 1);
    await store.compact();
    await store.close();
    await backend.initialize("m", { readOnly: false });
    await backend.writeBlob("blob", new Uint8Array([1, 2, 3]));
    expect([...(await backend.readBlob("blob"))]).toEqual([1, 2, 3]);
    expect(await backend.listBlobs("")).toContain("blob");
  });

  test("async functions are refused where a synchronous one is required", async () => {
    const backend = new other.MemoryBackend();
    const store = await other.Store.open<number>("m", { backend });
    await store.set("a", 1);
    const refused = { code: "INVALID_ARGUMENT" };
    const asynchronous = (async () => true) as unknown as () => boolean;
    await expect(store.batch(asynchronous)).rejects.toMatchObject(refused);
    await expect(store.archive(asynchronous)).rejects.toMatchObject(refused);
    await store.close();
  });

  test("an error of the system is recognised, and its message is passed on", async () => {
    await using directory = await tempDir();
    const path = join(directory.path, "none");
    await expect(other.Store.open(path, { readOnly: true })).rejects.toMatchObject({
      code: "STORE_NOT_FOUND",
    });
    await expect(other.Store.open("/proc/none/at all")).rejects.toMatchObject({
      action: expect.stringMatching(/fix-call|retry/),
      message: expect.stringContaining("/proc/none"),
    });
    expect(other.errno(Object.assign(new Error("x"), { code: "EIO", syscall: "read" }))).toBe(
      "EIO",
    );
  });
});
