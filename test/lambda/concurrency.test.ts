/** Many invocations in one process, and processes that are clones of each other. */
import { type Cost, MemoryBackend, Store } from "opslog-serverless";
import type { StoreHandler } from "opslog-serverless/lambda";
import { describe, expect, test } from "vitest";
import { Invocations } from "../../src/lambda/invocation.ts";
import { invokeWith } from "../../src/lambda/with-store.ts";
import { sdkAccess } from "../../src/lambda/sdk-access.ts";
import { manualRuntime } from "../support/manual-runtime.ts";
import { lambdaContext, MEDIA, readAll, readLog } from "./support.ts";

const INVOCATIONS = 64;
const numbers = Array.from({ length: INVOCATIONS }, (_, n) => n);

describe.each(Object.entries(MEDIA))("64 invocations at once on %s", (_name, open) => {
  test("each write under its own agent, some on the same record, lose nothing", async () => {
    await using medium = await open();
    const { location, backend } = medium;
    const one = backend();
    const handler: StoreHandler<string, number, void> = async (n, { awsRequestId }, store) => {
      await store.set("contended", awsRequestId);
      void store.set(`a-${n}`, awsRequestId);
      void store.set(`b-${n}`, awsRequestId);
    };
    const invoke = invokeWith(
      new Invocations<string>({ location, backend: one }, sdkAccess()),
      handler,
    );
    await Promise.all(numbers.map((n) => invoke(n, lambdaContext(`request-${n}`))));

    const records = new Map(await readAll(medium));
    for (const n of numbers) {
      expect([records.get(`a-${n}`), records.get(`b-${n}`)]).toEqual([
        `request-${n}`,
        `request-${n}`,
      ]);
    }
    expect(records.size).toBe(2 * INVOCATIONS + 1);
    const agents = (await readLog(medium)).flatMap((text) =>
      [...text.matchAll(/"agent":"(request-\d+)"/g)].map(([, agent]) => agent),
    );
    expect(new Set(agents)).toEqual(new Set(numbers.map((n) => `request-${n}`)));
  });
});

test("where no manifest is yet, an invocation costs 5 requests, 1 PUT for all its writes; concurrent ones share the PUTs", async () => {
  const costs: Cost["requests"][] = [];
  const options = {
    location: "store",
    backend: new MemoryBackend(),
    blindWrites: true,
    onCost: ({ requests }: Cost) => void costs.push(requests),
  };
  const handler: StoreHandler<number, number, void> = (n, _context, store) => {
    for (let write = 0; write < 10; write++) void store.set(`${n}-${write}`, write);
  };
  const invoke = invokeWith(new Invocations<number>(options, sdkAccess()), handler);
  await invoke(-1, lambdaContext("alone"));
  expect(costs).toEqual([{ get: 2, head: 0, list: 2, put: 1, delete: 0 }]);
  await Promise.all(numbers.map((n) => invoke(n, lambdaContext(`request-${n}`))));
  const together = costs.slice(1);
  const puts = together.reduce((sum, { put }) => sum + put, 0);
  expect(together).toEqual(
    together.map(({ put }) => ({ get: 2, head: 0, list: 2, put, delete: 0 })),
  );
  // All opened at the same moment, so all write at the same moment; a name tells of 32 records.
  const inObject = 3;
  expect([together.length, puts]).toEqual([INVOCATIONS, Math.ceil(INVOCATIONS / inObject)]);
  const counts = (await readLog({ ...options, backend: () => options.backend })).map(
    (text) => text.match(/^\{"format":/gm)?.length,
  );
  expect(new Set(counts)).toEqual(new Set([1, inObject]));
});

test("flushLingerMs is a time that one can wait", async () => {
  for (const flushLingerMs of [-1, 1_001, NaN, "10" as never]) {
    const options = { location: "store", backend: new MemoryBackend(), flushLingerMs };
    const invoke = invokeWith(new Invocations(options, sdkAccess()), () => undefined);
    await expect(invoke({}, lambdaContext())).rejects.toThrow(
      /^option flushLingerMs: expected 0..1000 ms, found /,
    );
  }
});

describe.each(Object.entries(MEDIA))("clones of one process on %s", (_name, open) => {
  test("draw the same names, and lose nothing: foreign content starts a new stream", async () => {
    await using medium = await open();
    const { location, backend } = medium;
    // The snapshot of a process: the same dice, the same clock, the same request id to come.
    const clones = ["left", "right"].map((name) => {
      const options = { location, backend: backend() };
      const invocations = new Invocations<string>(options, sdkAccess(), manualRuntime());
      return invokeWith(invocations, async (event: string, _context, store) => {
        await store.set(`${event}-${name}`, name);
        await store.set(`${event}-${name}-again`, name);
      });
    });
    for (const event of ["first", "second"]) {
      await Promise.all(clones.map((clone) => clone(event, lambdaContext("same-request"))));
    }
    const ids = ["first", "second"].flatMap((event) =>
      ["left", "right"].flatMap((name) => [`${event}-${name}`, `${event}-${name}-again`]),
    );
    expect((await readAll(medium)).map(([id]) => id)).toEqual(ids.toSorted());
  });

  test("that write different values of one record leave one of them, the same for all", async () => {
    await using medium = await open();
    const { location, backend } = medium;
    const write = async (value: string): Promise<void> => {
      const invocations = new Invocations<string>(
        { location, backend: backend() },
        sdkAccess(),
        manualRuntime(),
      );
      await invokeWith(invocations, (_event, _context, store) => store.set("a", value))(
        {},
        lambdaContext("same-request"),
      );
    };
    await Promise.all([write("left"), write("right")]);
    const seen = await readAll(medium);
    expect([[["a", "left"]], [["a", "right"]]]).toContainEqual(seen);
    await using eager = await Store.open<string>(location, { backend: backend(), readOnly: true });
    await using lazy = await Store.open<string>(location, {
      backend: backend(),
      readOnly: true,
      skipLoad: true,
    });
    expect(eager.entries()).toEqual(seen);
    expect(await lazy.read("a")).toBe(seen[0]?.[1]);
  });
});
