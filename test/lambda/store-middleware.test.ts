import { MemoryBackend, NotOpenError, RecordNotFoundError, type Store } from "opslog-serverless";
import {
  type LambdaContext,
  type MiddlewareRequest,
  storeMiddleware,
  type StoreContext,
  type StoreMiddleware,
} from "opslog-serverless/lambda";
import { expect, test } from "vitest";
import { lambdaContext, readAll, rejection } from "./support.ts";

/** Runs a handler as Middy does: what `after` throws goes through `onError` as well. */
async function runBehind<T, R>(
  middleware: StoreMiddleware,
  handler: (event: unknown, context: StoreContext<T>) => Promise<R>,
): Promise<R> {
  const context: LambdaContext = lambdaContext();
  const request: MiddlewareRequest & { error?: unknown } = { context };
  try {
    await middleware.before(request);
    const response = await handler({}, context as StoreContext<T>);
    await middleware.after(request);
    return response;
  } catch (error) {
    request.error = error;
    await middleware.onError(request);
    throw error;
  }
}

function medium(): { location: string; backend: MemoryBackend } {
  return { location: "store", backend: new MemoryBackend() };
}

async function records(backend: MemoryBackend): Promise<[string, unknown][]> {
  const store = { location: "store", backend: () => backend };
  return readAll({ ...store, [Symbol.asyncDispose]: async () => {} });
}

test("the handler finds the store in its context; what it wrote is durable after", async () => {
  const options = medium();
  const kept: Store<number>[] = [];
  const result = await runBehind<number, string>(storeMiddleware(options), async (_e, context) => {
    kept.push(context.store);
    void context.store.set("a", 1);
    return "done";
  });
  expect(result).toBe("done");
  expect(await records(options.backend)).toEqual([["a", 1]]);
  expect(() => kept[0]?.get("a")).toThrow(NotOpenError);
});

test("a failing handler's error stays, and what it wrote is durable", async () => {
  const options = medium();
  const failure = new Error("no luck");
  const run = runBehind<number, void>(storeMiddleware(options), async (_event, { store }) => {
    void store.set("a", 1);
    throw failure;
  });
  expect(await rejection(run)).toBe(failure);
  expect(await records(options.backend)).toEqual([["a", 1]]);
});

test("a write that failed unseen fails the invocation, once", async () => {
  const run = runBehind<number, void>(storeMiddleware(medium()), async (_event, { store }) => {
    void store.delete("absent");
  });
  expect(await rejection(run)).toBeInstanceOf(RecordNotFoundError);
});

test("with the handler's own failure it comes out as both", async () => {
  const failure = new Error("no luck");
  const run = runBehind<number, void>(storeMiddleware(medium()), async (_event, { store }) => {
    void store.delete("absent");
    throw failure;
  });
  expect(await rejection(run)).toMatchObject({
    errors: [failure, expect.any(RecordNotFoundError)],
  });
});

test("a store that does not open fails the invocation", async () => {
  const run = runBehind(storeMiddleware({ location: undefined }), async () => "never");
  expect(await rejection(run)).toMatchObject({ code: "INVALID_ARGUMENT" });
});
