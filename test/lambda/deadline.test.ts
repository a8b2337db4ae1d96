/** What becomes of an invocation whose time runs out; under a clock that only the tests move. */
import {
  FsBackend,
  MemoryBackend,
  Store,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "opslog-serverless";
import type { LambdaContext, StoreHandler, WithStoreOptions } from "opslog-serverless/lambda";
import { withStore } from "opslog-serverless/lambda";
import { describe, expect, test } from "vitest";
import { Deferred } from "../../src/core/deferred.ts";
import { Invocations } from "../../src/lambda/invocation.ts";
import { invokeWith } from "../../src/lambda/with-store.ts";
import type { AppendableStorage, AppendFile } from "../../src/storage/backend.ts";
import { sdkAccess } from "../../src/lambda/sdk-access.ts";
import { manualRuntime, type ManualRuntime } from "../support/manual-runtime.ts";
import { tempDir } from "../support/temp-dir.ts";
import { restOf } from "../log/log-files.ts";
import { lambdaContext, rejection } from "./support.ts";

const TIMEOUT_MS = 3_000;
const MARGIN_MS = 500;

/** Calls that begin with the prefix are told, and carried out only once they are let go. */
class Stuck extends MemoryBackend {
  stuckAt = "";
  readonly reached = new Deferred();
  readonly letGo = new Deferred();
  puts = 0;

  async #wait(call: string): Promise<void> {
    if (this.stuckAt === "" || !call.startsWith(this.stuckAt)) return;
    this.reached.resolve();
    await this.letGo.promise;
  }

  override async get(...args: Parameters<MemoryBackend["get"]>): ReturnType<MemoryBackend["get"]> {
    await this.#wait(`get ${args[0]}`);
    return super.get(...args);
  }

  override async put(...args: Parameters<MemoryBackend["put"]>): ReturnType<MemoryBackend["put"]> {
    this.puts++;
    await this.#wait(`put ${args[0]}`);
    return super.put(...args);
  }

  override async *list(
    ...args: Parameters<MemoryBackend["list"]>
  ): ReturnType<MemoryBackend["list"]> {
    await this.#wait(`list ${args[0]}`);
    yield* super.list(...args);
  }
}

/** A handler of one invocation that may take TIMEOUT_MS from now on. */
function invoke<Result>(
  runtime: ManualRuntime,
  options: WithStoreOptions<number>,
  handler: StoreHandler<number, unknown, Result>,
): Promise<Result> {
  const endMs = runtime.nowMs() + TIMEOUT_MS;
  const context: LambdaContext = {
    awsRequestId: "request-1",
    getRemainingTimeInMillis: () => endMs - runtime.nowMs(),
  };
  return invokeWith(new Invocations(options, sdkAccess(), runtime), handler)({}, context);
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  const first = await Promise.race([promise.catch(() => undefined), Promise.resolve(pending)]);
  return first !== pending;
}

describe("when the invocation's time runs out", () => {
  test("a write that is not confirmed has an unknown outcome, reported before the end", async () => {
    const runtime = manualRuntime();
    const backend = new Stuck();
    const options = { location: "store", backend };
    backend.stuckAt = "put ops/";
    const deadlineAt = new Date(runtime.nowMs() + TIMEOUT_MS - MARGIN_MS).toISOString();
    const result = invoke(runtime, options, (_event, _context, store) => store.set("a", 1));
    const rejected = rejection(result);
    await backend.reached.promise;
    await runtime.advance(TIMEOUT_MS - MARGIN_MS - 1);
    expect(await isSettled(rejected)).toBe(false);
    await runtime.advance(1);
    const error = await rejected;
    expect(error).toBeInstanceOf(WriteOutcomeUnknownError);
    expect(error).toMatchObject({
      action: "outcome-unknown",
      message: expect.stringMatching(/put ops\/.* not confirmed before the deadline/),
    });
    expect(String(error)).toContain(deadlineAt);
    expect(runtime.waitsMs).toEqual([]);

    // Unknown indeed: it takes effect later.
    backend.letGo.resolve();
    await runtime.advance(0);
    await using reader = await Store.open("store", { backend, readOnly: true });
    expect(reader.entries()).toEqual([["a", 1]]);
  });

  test("a read fails, and so does opening the store", async () => {
    for (const stuckAt of ["get manifest.json", "list ops/"]) {
      const runtime = manualRuntime();
      const backend = new Stuck();
      backend.stuckAt = stuckAt;
      const rejected = rejection(
        invoke(runtime, { location: "store", backend }, (_e, _c, store) => store.read("a")),
      );
      await backend.reached.promise;
      await runtime.advance(TIMEOUT_MS - MARGIN_MS);
      const error = await rejected;
      expect(error).toBeInstanceOf(UnavailableError);
      expect(String(error)).toContain(`${stuckAt} was not answered before the deadline`);
    }
  });

  test("a write that comes too late is not begun: nothing was written", async () => {
    const runtime = manualRuntime();
    const backend = new Stuck();
    const handler: StoreHandler<number, unknown, void> = async (_event, _context, store) => {
      await store.set("in time", 1);
      await runtime.advance(TIMEOUT_MS - MARGIN_MS);
      await store.set("too late", 2);
    };
    const error = await rejection(invoke(runtime, { location: "store", backend }, handler));
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error).toMatchObject({ action: "retry", message: expect.stringMatching(/not begun/) });
    expect(backend.puts).toBe(1);
    await using reader = await Store.open("store", { backend, readOnly: true });
    expect(reader.entries()).toEqual([["in time", 1]]);
  });

  test("the handler's own failure is reported together with it", async () => {
    const runtime = manualRuntime();
    const backend = new Stuck();
    backend.stuckAt = "put ops/";
    const failure = new Error("no luck");
    const rejected = rejection(
      invoke(runtime, { location: "store", backend }, (_event, _context, store) => {
        void store.set("a", 1);
        throw failure;
      }),
    );
    await backend.reached.promise;
    await runtime.advance(TIMEOUT_MS - MARGIN_MS);
    expect(await rejected).toMatchObject({
      errors: [failure, expect.any(WriteOutcomeUnknownError)],
    });
  });

  test("what was durable before stays a success, however late the handler ends", async () => {
    await using directory = await tempDir();
    for (const [location, backend] of [
      ["store", new MemoryBackend()],
      [directory.path, new FsBackend()],
    ] as const) {
      const runtime = manualRuntime();
      const result = invoke(runtime, { location, backend }, async (_event, _context, store) => {
        await store.set("a", 1);
        await runtime.advance(TIMEOUT_MS - 1);
        return "done";
      });
      expect(await result).toBe("done");
    }
  });

  test("a flush to a file that hangs has an unknown outcome, too", async () => {
    await using directory = await tempDir();
    const reached = new Deferred();
    const backend = new FsBackend();
    const appendable = stuckAppends(backend.appendable, reached);
    Object.defineProperty(backend, "appendable", { value: appendable });
    const runtime = manualRuntime();
    const options = { location: directory.path, backend };
    const rejected = rejection(invoke(runtime, options, (_e, _c, store) => store.set("a", 1)));
    await reached.promise;
    await runtime.advance(TIMEOUT_MS - MARGIN_MS);
    expect(await rejected).toBeInstanceOf(WriteOutcomeUnknownError);
  });

  test("the margin is an option", async () => {
    const runtime = manualRuntime();
    const backend = new Stuck();
    backend.stuckAt = "put ops/";
    const options = { location: "store", backend, deadlineMarginMs: 1_000 };
    const rejected = rejection(invoke(runtime, options, (_e, _c, store) => store.set("a", 1)));
    await backend.reached.promise;
    await runtime.advance(TIMEOUT_MS - 1_000);
    expect(await rejected).toBeInstanceOf(WriteOutcomeUnknownError);
  });
});

/** Appending is told, and never ends. */
function stuckAppends(appendable: AppendableStorage, reached: Deferred): AppendableStorage {
  return {
    exists: (path) => appendable.exists(path),
    create: async (path) => {
      const file = await appendable.create(path);
      const append: AppendFile["append"] = () => {
        reached.resolve();
        return new Promise(() => {});
      };
      return file && { ...restOf(file), append };
    },
  };
}

describe("the deadline", () => {
  test.each([-1, Number.NaN, Infinity, "500"])("refuses a margin of %j", async (margin) => {
    const options: WithStoreOptions = { location: "store", backend: new MemoryBackend() };
    Object.assign(options, { deadlineMarginMs: margin });
    const handler = withStore(options, () => "fine");
    expect(await rejection(handler({}, lambdaContext()))).toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining("option deadlineMarginMs"),
    });
  });

  test("is none for a context without a time limit, and copes with one that has no end", async () => {
    const backend = new MemoryBackend();
    const handler = withStore<number>({ location: "store", backend }, (_event, _context, store) =>
      store.set("a", 1),
    );
    const timeless: LambdaContext = lambdaContext();
    Object.assign(timeless, { getRemainingTimeInMillis: undefined });
    await handler({}, timeless);
    await handler({}, lambdaContext("request-2", Infinity));
  });
});
