import { describe, expect, test } from "vitest";
import type { CostBudget } from "../../src/core/cost.ts";
import { CostMeter } from "../../src/core/cost-meter.ts";
import { BudgetExceededError } from "../../src/core/errors.ts";
import { EMPTY_MANIFEST } from "../../src/format/manifest-codec.ts";
import { ObjectLog } from "../../src/log/object-log.ts";
import type { PutResult, StorageBackend } from "../../src/storage/backend.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { Lease } from "../../src/storage/lease.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { MeteredBackend } from "../../src/storage/metered-backend.ts";
import { beyondBudget } from "../../src/storage/wrapped-backend.ts";
import { backendSuite } from "../../src/testing/index.ts";
import { ManifestStore } from "../../src/view/manifest-store.ts";
import { draft } from "../log/support.ts";
import { manualRuntime } from "../support/manual-runtime.ts";
import { tempDir } from "../support/temp-dir.ts";

describe("conformance of a metered memory", () => {
  backendSuite({
    test,
    factory: async () => {
      const backend = new MeteredBackend(new MemoryBackend(), new CostMeter());
      await backend.initialize("memory", { readOnly: false });
      return { backend, location: "memory", [Symbol.asyncDispose]: () => backend.shutdown() };
    },
  });
});

describe("conformance of a metered directory", () => {
  backendSuite({
    test,
    factory: async () => {
      const directory = await tempDir();
      const open = async (): Promise<StorageBackend> => {
        const backend = new MeteredBackend(new FsBackend({ fsync: false }), new CostMeter());
        await backend.initialize(directory.path, { readOnly: false });
        return backend;
      };
      const backend = await open();
      return {
        backend,
        location: directory.path,
        reopen: open,
        [Symbol.asyncDispose]: async () => {
          await backend.shutdown();
          await directory[Symbol.asyncDispose]();
        },
      };
    },
  });
});

async function memory(limits: CostBudget = {}): Promise<{
  inner: MemoryBackend;
  backend: MeteredBackend;
  meter: CostMeter;
  warnings: string[];
}> {
  const inner = new MemoryBackend();
  await inner.initialize("memory", { readOnly: false });
  const [meter, warnings] = [new CostMeter(), [] as string[]];
  const onWarning = (message: string): void => void warnings.push(message);
  const budget = { onBreach: "throw", ...limits } as const;
  return {
    inner,
    backend: new MeteredBackend(inner, meter, { budget, onWarning }),
    meter,
    warnings,
  };
}

test("offers what its medium offers, and nothing else", () => {
  const [meter, files] = [new CostMeter(), new FsBackend()];
  const object = new MeteredBackend(new MemoryBackend(), meter);
  expect([object.appendable, object.lock, object.lockTtlMs]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  const directory = new MeteredBackend(files, meter);
  expect([typeof directory.appendable, typeof directory.lock]).toEqual(["object", "function"]);
  class Slow extends MemoryBackend {
    readonly lockTtlMs = 7;
  }
  expect(new MeteredBackend(new Slow(), meter).lockTtlMs).toBe(7);
});

test("counts each page of a list, and the bytes of what it moves, streams too", async () => {
  const { inner, backend, meter } = await memory();
  for (let n = 0; n < 2_500; n++) await inner.writeBlob(`dir/${n}`, "x");
  let pages = 0;
  for await (const { truncated } of backend.list("dir/")) {
    pages++;
    if (!truncated) break;
  }
  expect([pages, meter.cost.requests.list]).toEqual([3, 3]);
  async function* stream(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(10);
    yield new Uint8Array(5);
  }
  await backend.put("streamed", stream(), "none");
  await backend.put("whole", new Uint8Array(7), "none");
  await backend.get("streamed", { range: { offset: 2, length: 4 } });
  await backend.get("absent");
  await backend.delete([]);
  expect(meter.cost).toMatchObject({
    requests: { get: 2, put: 2, list: 3, delete: 0 },
    bytesOut: 22,
    bytesIn: 4,
    roundTrips: 7,
  });
});

test("a call that fails counts as well", async () => {
  class Failing extends MemoryBackend {
    override get(): Promise<never> {
      return Promise.reject(new Error("down"));
    }
  }
  const meter = new CostMeter();
  await expect(new MeteredBackend(new Failing(), meter).get("x")).rejects.toThrow("down");
  expect(meter.cost).toMatchObject({ requests: { get: 1 }, roundTrips: 1 });
});

test("what is refused is not begun: no page, no stream, no object", async () => {
  const { inner, backend, meter } = await memory({ requests: 0 });
  let isTouched = false;
  async function* stream(): AsyncGenerator<Uint8Array> {
    isTouched = true;
    yield new Uint8Array(1);
  }
  await expect(backend.put("a", stream(), "none")).rejects.toThrow(BudgetExceededError);
  await expect(backend.list("").next()).rejects.toThrow("does not allow list");
  await expect(backend.delete(["a"])).rejects.toMatchObject({ path: "a" });
  expect([isTouched, await inner.listBlobs(""), meter.cost.requests.put]).toEqual([false, [], 0]);
});

test("calls at the same moment are admitted up to the budget", async () => {
  const { backend, meter } = await memory({ requests: 3 });
  const gets = await Promise.allSettled([1, 2, 3, 4, 5].map((n) => backend.get(`${n}`)));
  expect(gets.map(({ status }) => status)).toEqual([
    "fulfilled",
    "fulfilled",
    "fulfilled",
    "rejected",
    "rejected",
  ]);
  expect(meter.cost.requests.get).toBe(3);
});

test("a warning is given once", async () => {
  const { backend, warnings, meter } = await memory({ requests: 1, onBreach: "warn" });
  for (let n = 0; n < 4; n++) await backend.get(`${n}`);
  expect(warnings).toEqual(["costBudget is exceeded by get 1: requests: 2 of at most 1"]);
  expect(meter.cost.requests.get).toBe(4);
});

describe("beyond its budget a store", () => {
  test("counts what it does all the same", async () => {
    const { backend, meter } = await memory({ requests: 1 });
    await beyondBudget(backend).get("a");
    await beyondBudget(backend).get("b");
    expect(meter.cost.requests.get).toBe(2);
    await expect(backend.get("c")).rejects.toThrow(BudgetExceededError);
  });

  test("takes no lease, but keeps and releases the one it has", async () => {
    const { inner, backend } = await memory({ requests: 2 });
    const runtime = manualRuntime();
    const options = { path: "x.lease", ttlMs: 3_000 };
    const lease = await Lease.take(backend, runtime, options);
    const taken = await inner.readBlob("x.lease");
    await runtime.advance(1_000);
    expect(await inner.readBlob("x.lease"), "renewed").not.toEqual(taken);
    await lease?.release();
    expect((await inner.readBlob("x.lease")).toString()).toContain('"owner":null');
    await expect(Lease.take(backend, runtime, options)).rejects.toThrow(BudgetExceededError);
  });

  test("reads a publication back: what was sent gets an outcome", async () => {
    const { backend } = await memory({ requests: 2 });
    const manifests = new ManifestStore(backend);
    const next = { ...EMPTY_MANIFEST, generation: 1, nonce: "0123456789abcdef" };
    const published = await manifests.publish(await manifests.load(), next, 1_000);
    expect(published?.manifest.generation).toBe(1);
  });

  test("reads a flush back whose answer was lost", async () => {
    class Lossy extends MemoryBackend {
      override async put(...args: Parameters<MemoryBackend["put"]>): Promise<PutResult> {
        const { dateMs } = await super.put(...args);
        return { status: "conflict", dateMs };
      }
    }
    const inner = new Lossy();
    await inner.initialize("memory", { readOnly: false });
    const budget = { requests: 1, onBreach: "throw" } as const;
    const backend = new MeteredBackend(inner, new CostMeter(), { budget, onWarning: () => {} });
    const writer = new ObjectLog(backend, manualRuntime(), { writeTimeoutMs: 1_000 }).createWriter(
      "a",
    );
    expect((await writer.write(draft(["a"], 1))).ref.lo).toBe(1);
  });
});
