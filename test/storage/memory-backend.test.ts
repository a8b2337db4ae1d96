import { describe, expect, test } from "vitest";
import { systemRuntime } from "../../src/core/runtime.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { backendSuite } from "../../src/testing/index.ts";

describe("conformance", () => {
  backendSuite({
    test,
    factory: async () => {
      const backend = new MemoryBackend();
      await backend.initialize("memory", { readOnly: false });
      return {
        backend,
        location: "memory",
        [Symbol.asyncDispose]: () => backend.shutdown(),
      };
    },
  });
});

test("each location of an instance is a namespace of its own", async () => {
  const backend = new MemoryBackend();
  await backend.initialize("one", { readOnly: false });
  await backend.writeBlob("x", "in one");
  await backend.initialize("two", { readOnly: false });
  expect((await backend.get("x")).status).toBe("absent");
  await backend.initialize("one", { readOnly: true });
  expect((await backend.readBlob("x")).toString()).toBe("in one");
});

test("two instances share nothing", async () => {
  const [first, second] = [new MemoryBackend(), new MemoryBackend()];
  await first.initialize("same", { readOnly: false });
  await second.initialize("same", { readOnly: false });
  await first.writeBlob("x", "first");
  expect((await second.get("x")).status).toBe("absent");
});

test("dates come from the runtime", async () => {
  let nowMs = 5_000;
  const runtime = { ...systemRuntime, nowMs: () => nowMs };
  const backend = new MemoryBackend({ runtime });
  await backend.initialize("memory", { readOnly: false });
  await backend.writeBlob("x", "1");
  nowMs = 9_000;
  expect(await backend.get("x")).toMatchObject({ lastModifiedMs: 5_000, dateMs: 9_000 });
});

test("use before initialize and unknown options are refused", async () => {
  await expect(new MemoryBackend().get("x")).rejects.toThrow("not initialized");
  const options: object = { fsync: true };
  expect(() => new MemoryBackend(options)).toThrow("unknown option of MemoryBackend: fsync");
});
