/** `makeIdempotent` of Powertools for AWS Lambda over stores. */
import { makeIdempotent, IdempotencyConfig } from "@aws-lambda-powertools/idempotency";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Deferred } from "../../src/core/deferred.ts";
import { InvalidArgumentError } from "../../src/core/errors.ts";
import { compact } from "../../src/compaction/compact.ts";
import { StorePersistenceLayer } from "../../src/powertools/index.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";
import { settledIn } from "../support/settled.ts";

const START_MS = Date.UTC(2026, 10, 30);
const HOUR_MS = 3_600_000;

let backend: MemoryBackend;
const open: Store<never>[] = [];

async function newStore(agentId: string): Promise<Store<never>> {
  const store = await Store.open<never>("memory", { backend, agentId, skipLoad: true });
  open.push(store);
  return store;
}

/** By a name of its own, so that functions need not name what they do not use. */
function idempotent<R, E = string>(
  fn: (event: E) => Promise<R>,
  options: {
    persistenceStore: StorePersistenceLayer;
    config?: IdempotencyConfig;
    keyPrefix?: string;
  },
): (event: E) => Promise<R> {
  return makeIdempotent(fn as (...args: never[]) => Promise<R>, options) as (
    event: E,
  ) => Promise<R>;
}

/** As another process. */
async function newLayer(agentId: string): Promise<StorePersistenceLayer> {
  return new StorePersistenceLayer({ store: await newStore(agentId) });
}

/** Of an invocation with so much time left. */
function contextOf(leftMs: number): never {
  const context = { awsRequestId: "1", getRemainingTimeInMillis: () => leftMs };
  return { ...context, functionName: "f", functionVersion: "1", invokedFunctionArn: "" } as never;
}

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: START_MS });
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  backend = new MemoryBackend();
  await (await Store.open("memory", { backend, agentId: "first" })).close();
});

afterEach(async () => {
  for (const store of open.splice(0)) await store.close();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("an idempotent function", () => {
  test("runs once for a payload, and its result is returned again, whichever process is asked", async () => {
    let runs = 0;
    const charge = ({ id }: { id: string }): Promise<object> => Promise.resolve({ id, n: ++runs });
    const of = async (agentId: string): Promise<typeof charge> =>
      idempotent(charge, { persistenceStore: await newLayer(agentId) });
    const [first, second] = [await of("a"), await of("b")];
    expect(await first({ id: "7" })).toEqual({ id: "7", n: 1 });
    const again = await second({ id: "7" });
    expect(again).toEqual({ id: "7", n: 1 });
    // A response hook may change it.
    Object.assign(again, { n: 9 });
    expect(await first({ id: "7" })).toEqual({ id: "7", n: 1 });
    expect(await second({ id: "8" })).toEqual({ id: "8", n: 2 });
  });

  test("of 20 calls at once in as many processes one runs, and the others are told", async () => {
    let runs = 0;
    const persistenceStores = await Promise.all(
      Array.from({ length: 20 }, (_, n) => newLayer(`a${n}`)),
    );
    const { fulfilled, rejected } = await settledIn(
      persistenceStores.map((persistenceStore) =>
        idempotent(() => Promise.resolve(++runs), { persistenceStore })("event"),
      ),
    );
    expect(runs).toBe(1);
    expect(new Set(fulfilled)).toEqual(new Set([1]));
    const names = new Set(rejected.map((error) => (error as Error).name));
    expect([...names].every((name) => name === "IdempotencyAlreadyInProgressError")).toBe(true);
  });

  test("that fails runs again", async () => {
    let runs = 0;
    const persistenceStore = await newLayer("a");
    const flaky = idempotent(
      () => (++runs === 1 ? Promise.reject(new Error("no")) : Promise.resolve(runs)),
      { persistenceStore },
    );
    await expect(flaky("event")).rejects.toThrow("no");
    expect(await flaky("event")).toBe(2);
    expect(await flaky("event")).toBe(2);
  });

  test.each([[undefined], [null], [0], [{ a: [1] }]])("may return %j", async (result) => {
    const persistenceStore = await newLayer("a");
    const config = new IdempotencyConfig({});
    const fn = idempotent(() => Promise.resolve(result), { persistenceStore, config });
    expect(await fn("event")).toEqual(result);
    expect(await fn("event")).toEqual(result);
  });

  test("runs again when its result has expired, and compactions remove that", async () => {
    let runs = 0;
    const config = new IdempotencyConfig({ expiresAfterSeconds: 60 });
    const persistenceStore = await newLayer("a");
    const fn = idempotent(() => Promise.resolve(++runs), { persistenceStore, config });
    expect(await fn("event")).toBe(1);
    vi.setSystemTime(START_MS + 59_000);
    expect(await fn("event")).toBe(1);
    vi.setSystemTime(START_MS + 62_000);
    expect(await fn("event")).toBe(2);
    const pass = async (): Promise<number | undefined> => {
      await (await newStore(`w${open.length}`)).set("other", {} as never);
      await compact("memory", { backend, full: true });
      return (await newStore(`r${open.length}`)).getManifest()?.stats.activeRecords;
    };
    expect(await pass()).toBe(2);
    vi.setSystemTime(START_MS + 3 * HOUR_MS);
    expect(await pass()).toBe(1);
    expect(await fn("event")).toBe(3);
  });

  test("whose process is out of time is taken over, and completes nothing", async () => {
    const [began, ended] = [new Deferred(), new Deferred()];
    const slow = async (): Promise<string> => {
      began.resolve();
      await ended.promise;
      return "first";
    };
    const config = new IdempotencyConfig({ lambdaContext: contextOf(5_000) });
    const persistenceStore = await newLayer("a");
    const first = idempotent(slow, { persistenceStore, config });
    const call = first("event");
    call.catch(() => undefined);
    await began.promise;
    const second = idempotent(() => Promise.resolve("second"), {
      persistenceStore: await newLayer("b"),
      config,
      keyPrefix: persistenceStore.idempotencyKeyPrefix,
    });
    await expect(second("event")).rejects.toThrow(/already an execution in progress/);
    vi.setSystemTime(START_MS + 5_002);
    expect(await second("event")).toBe("second");
    ended.resolve();
    await expect(call).rejects.toMatchObject({ cause: { code: "ONCE_LOST" } });
    expect(await first("event")).toBe("second");
  });

  test("that is called with another payload for the key is refused", async () => {
    const persistenceStore = await newLayer("a");
    const config = new IdempotencyConfig({
      eventKeyJmesPath: "id",
      payloadValidationJmesPath: "cents",
    });
    const fn = idempotent((order: { id: string; cents: number }) => Promise.resolve(order.cents), {
      persistenceStore,
      config,
    });
    expect(await fn({ id: "7", cents: 5 })).toBe(5);
    await expect(fn({ id: "7", cents: 6 })).rejects.toMatchObject({
      name: "IdempotencyValidationError",
    });
  });
});

test("its records are no records of the program, and no keys of once", async () => {
  const store = await newStore("a");
  const getStore = vi.fn(() => Promise.resolve(store));
  const persistenceStore = new StorePersistenceLayer({ store: getStore });
  const fn = idempotent(() => Promise.resolve(1), { persistenceStore });
  expect(getStore).not.toHaveBeenCalled();
  await fn("event");
  expect(await persistenceStore.getRecord("event")).toMatchObject({ responseData: 1 });
  await store.hydrate();
  expect([store.count(), store.getOps()]).toEqual([0, []]);
  await expect(store.once("\u0000x", () => 1)).rejects.toThrow(InvalidArgumentError);
  await expect(persistenceStore.getRecord("other")).rejects.toMatchObject({
    name: "IdempotencyItemNotFoundError",
  });
});

test("what is no store is refused", async () => {
  for (const options of [{}, { store: "./data" }, { store: null }, { stores: 1 }, undefined]) {
    expect(() => new StorePersistenceLayer(options as never)).toThrow(Error);
  }
  expect(() => new StorePersistenceLayer({ store: {} as never })).toThrow(InvalidArgumentError);
  const persistenceStore = new StorePersistenceLayer({ store: () => ({}) as never });
  await expect(persistenceStore.getRecord("event")).rejects.toThrow(InvalidArgumentError);
});
