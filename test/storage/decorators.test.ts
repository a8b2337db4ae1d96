/** Every decorator forwards every method of the medium, with all its arguments. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { CostMeter } from "../../src/core/cost-meter.ts";
import { MediumClock } from "../../src/core/medium-clock.ts";
import { systemRuntime } from "../../src/core/runtime.ts";
import type {
  AppendFile,
  GetOptions,
  ListPage,
  Medium,
  PutOptions,
  RequestOptions,
} from "../../src/storage/backend.ts";
import { Deadline } from "../../src/storage/deadline.ts";
import { DeadlineBackend } from "../../src/storage/deadline-backend.ts";
import { KeptOpenBackend } from "../../src/storage/kept-open-backend.ts";
import { MeteredBackend } from "../../src/storage/metered-backend.ts";
import { beyondBudget, type WrappedBackend } from "../../src/storage/wrapped-backend.ts";
import { readSources } from "../support/tidy.ts";

const BUDGET = { budget: { requests: 0, onBreach: "throw" }, onWarning: () => {} } as const;

const DECORATORS: Readonly<Record<string, (inner: Medium) => WrappedBackend>> = {
  DeadlineBackend: (inner) => new DeadlineBackend(inner, new Deadline(systemRuntime, () => 60_000)),
  KeptOpenBackend: (inner) => new KeptOpenBackend(inner),
  MeteredBackend: (inner) => new MeteredBackend(inner, new CostMeter()),
};

type Methods = Required<{
  [
    Name in keyof Medium as Required<Medium>[Name] extends (...args: never) => unknown
      ? Name
      : never
  ]: Medium[Name];
}>;
/** A method or an argument that is added to `Medium` does not compile before it stands below. */
type Arguments = { [Name in keyof Methods]: Required<Parameters<Methods[Name]>> };

/** Makes options with a signal and a listener whose calls can be seen at the other end. */
function requestOptions(): Required<RequestOptions> & { heard: string[]; end: AbortController } {
  const [heard, end] = [[] as string[], new AbortController()];
  const onRequest: NonNullable<RequestOptions["onRequest"]> = (kind, out) => {
    heard.push(`${kind} ${out}`);
    return (bytesIn) => void heard.push(`ended ${bytesIn}`);
  };
  return { signal: end.signal, onRequest, heard, end };
}

const BODY = new Uint8Array([1, 2, 3]);
const DATED = { dateMs: 1 };
const PAGES: ListPage[] = [
  { objects: [], truncated: true, ...DATED },
  { objects: [], truncated: false, ...DATED },
];
const OWN_ATTRIBUTES = {
  reportsRequests: true,
  listsInOrder: true,
  proofScope: { endpoint: "e", bucket: "b", client: "c" },
  clock: new MediumClock(systemRuntime),
  lockTtlMs: 7,
  dateSkewMs: 8,
};

/** A medium with everything a medium can have, and the arguments of each call. */
function recording(): { medium: Required<Medium>; calls: Map<string, unknown[]> } {
  const calls = new Map<string, unknown[]>();
  const record =
    <R>(name: string, result: R) =>
    (...args: unknown[]): R => {
      calls.set(name, args);
      return result;
    };
  const done = Promise.resolve();
  const file: AppendFile = {
    append: record("append", Promise.resolve(DATED)),
    isInPlace: record("isInPlace", Promise.resolve(true)),
    close: record("close", done),
  };
  async function* pages(): AsyncGenerator<ListPage> {
    yield* PAGES;
  }
  const medium: Required<Medium> = {
    ...OWN_ATTRIBUTES,
    resolveLocation: record("resolveLocation", "resolved"),
    initialize: record("initialize", done),
    shutdown: record("shutdown", done),
    get: record("get", Promise.resolve({ status: "absent", ...DATED } as const)),
    put: record("put", Promise.resolve({ status: "conflict", ...DATED } as const)),
    list: (...args) => record("list", pages())(...args),
    delete: record("delete", done),
    lock: record(
      "lock",
      Promise.resolve({ confirm: record("confirm", done), release: record("release", done) }),
    ),
    appendable: {
      create: record("create", Promise.resolve(file)),
      exists: record("exists", Promise.resolve(true)),
    },
  };
  return { medium, calls };
}

test("the list of decorators is complete", () => {
  const sources = readSources(join(import.meta.dirname, "../../src"));
  const found = sources.flatMap(({ text }) => [
    ...text.matchAll(/class (\w+) extends WrappedBackend\b/g),
  ]);
  expect(new Set(found.map(([, name]) => name))).toEqual(new Set(Object.keys(DECORATORS)));
});

test.each(Object.entries(DECORATORS))(
  "%s forwards methods with all arguments",
  async (name, wrap) => {
    const { medium, calls } = recording();
    const wrapped = wrap(medium);
    const [range, options] = [{ offset: 1, length: 2 }, requestOptions()];
    const { signal, onRequest } = options;
    const getOptions: Required<GetOptions> = { signal, onRequest, range, ifNoneMatch: "tag" };
    const putOptions: Required<PutOptions> = { signal, onRequest, timeoutMs: 5 };
    const given: Arguments = {
      resolveLocation: ["place"],
      initialize: ["place", { readOnly: true }],
      shutdown: [],
      get: ["a", getOptions],
      put: ["b", BODY, { ifMatch: "tag" }, putOptions],
      list: ["c/", { signal, onRequest, after: "c/1" }],
      delete: [["d", "e"], { signal, onRequest }],
      lock: [".lock"],
    };
    expect(wrapped.resolveLocation(...given.resolveLocation)).toBe("resolved");
    await wrapped.initialize(...given.initialize);
    expect(await wrapped.get(...given.get)).toMatchObject({ status: "absent" });
    expect(await wrapped.put(...given.put)).toMatchObject({ status: "conflict" });
    const listed: ListPage[] = [];
    for await (const page of wrapped.list(...given.list)) listed.push(page);
    expect(listed).toEqual(PAGES);
    await wrapped.delete(...given.delete);
    const handle = await wrapped.lock?.(...given.lock);
    await handle?.confirm?.();
    await handle?.release();
    await wrapped.shutdown();
    for (const [method, args] of Object.entries(given)) {
      // Its purpose is that the medium stays open.
      if (method === "shutdown" && name === "KeptOpenBackend") continue;
      const { signal: _signal, onRequest: _onRequest, ...last } = Object(args.at(-1));
      const isWithOptions = ["get", "put", "list", "delete"].includes(method);
      const expected = isWithOptions ? [...args.slice(0, -1), expect.objectContaining(last)] : args;
      expect(calls.get(method), method).toEqual(expected);
    }
    const received = ["get", "put", "list", "delete"].map((method) => {
      const last: RequestOptions = Object(calls.get(method)?.at(-1));
      options.heard.length = 0;
      last.onRequest?.("get", 3)(4);
      expect(options.heard, `onRequest of ${method}`).toEqual(["get 3", "ended 4"]);
      return last.signal;
    });
    options.end.abort();
    expect(received.map((each) => each?.aborted)).toEqual([true, true, true, true]);
    expect([calls.has("confirm"), calls.has("release")]).toEqual([true, true]);
  },
);

test.each(Object.entries(DECORATORS))(
  "%s forwards what files and attributes the medium has",
  async (_name, wrap) => {
    const { medium, calls } = recording();
    const wrapped = wrap(medium);
    expect(Object.keys(OWN_ATTRIBUTES).map((key) => Reflect.get(wrapped, key))).toEqual(
      Object.values(OWN_ATTRIBUTES),
    );
    const file = await wrapped.appendable?.create("f");
    expect(await wrapped.appendable?.exists("g")).toBe(true);
    expect(await file?.append(BODY)).toEqual(DATED);
    expect(await file?.isInPlace()).toBe(true);
    await file?.close();
    expect(Object.fromEntries(calls)).toEqual({
      create: ["f"],
      exists: ["g"],
      append: [BODY],
      isInPlace: [],
      close: [],
    });
  },
);

test.each(Object.entries(DECORATORS))(
  "%s around a budget leaves a way beyond it",
  async (_name, wrap) => {
    const { medium } = recording();
    const around = wrap(new MeteredBackend(medium, new CostMeter(), BUDGET));
    await expect(around.get("a")).rejects.toThrow("costBudget");
    expect(await beyondBudget(around).get("a")).toMatchObject({ status: "absent" });
    // The decorator itself stays: only the budget is gone.
    expect(beyondBudget(around)).toBeInstanceOf(around.constructor);
  },
);
