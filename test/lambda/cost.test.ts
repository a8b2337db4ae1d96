import { BudgetExceededError, type Cost, MemoryBackend, Store } from "opslog-serverless";
import { createCompactor, withStore, type WithStoreOptions } from "opslog-serverless/lambda";
import { describe, expect, test, vi } from "vitest";
import { lambdaContext, MEDIA, type Medium, rejection } from "./support.ts";

/** Options, and the costs that its invocations told by request id. */
function told(medium: Medium): { costs: Map<string, Cost>; options: WithStoreOptions<number> } {
  const costs = new Map<string, Cost>();
  const { location, backend } = medium;
  return {
    costs,
    options: {
      location,
      backend,
      onCost: (cost, { awsRequestId }) => void costs.set(awsRequestId, cost),
    },
  };
}

function requestsOf({ requests }: Cost): number {
  return Object.values(requests).reduce((sum, count) => sum + count, 0);
}

async function put(medium: Medium, flushes: number): Promise<void> {
  const options = { backend: medium.backend(), agentId: "w", skipLoad: true, blindWrites: true };
  await using store = await Store.open<number>(medium.location, options);
  for (let n = 0; n < flushes; n++) await store.set(`r${n}`, n);
}

describe.each(Object.entries(MEDIA))("the cost of an invocation on %s", (_name, open) => {
  test("is reported once it is over, before its result is", async () => {
    await using medium = await open();
    const { costs, options } = told(medium);
    let inHandler: Cost | undefined;
    const handler = withStore<number, number, string>(options, async (n, _context, store) => {
      await store.set("a", n);
      inHandler = store.stats().cost;
      void store.set("b", n);
      return "done";
    });
    expect(await handler(1, lambdaContext("one"))).toBe("done");
    const cost = costs.get("one");
    expect(cost?.requests.put).toBeGreaterThan(inHandler?.requests.put ?? Infinity);
    expect(cost?.usd).toBeGreaterThan(0);
  });

  test("is that of this invocation, not of the process", async () => {
    await using medium = await open();
    await put(medium, 1);
    const { costs, options } = told(medium);
    const handler = withStore<number, number>(options, async (writes, _context, store) => {
      for (let n = 0; n < writes; n++) await store.set(`r${n}`, n);
    });
    // One after the other: flushes of one moment are shared.
    for (const n of [0, 1, 2, 7]) await handler(n, lambdaContext(`request-${n}`));
    const puts = [1, 2, 7].map((n) => costs.get(`request-${n}`)?.requests.put);
    // On a directory the first flush creates the file.
    const first = (puts[0] ?? 0) - 1;
    expect([costs.get("request-0")?.requests.put, puts]).toEqual([
      0,
      [first + 1, first + 2, first + 7],
    ]);
  });

  test("is reported for a failed one, too", async () => {
    await using medium = await open();
    const { costs, options } = told(medium);
    const handler = withStore<number>(options, async (_event, _context, store) => {
      await store.set("a", 1);
      throw new Error("no luck");
    });
    expect(await rejection(handler({}, lambdaContext("one")))).toMatchObject({
      message: "no luck",
    });
    expect(costs.get("one")?.requests.put).toBeGreaterThan(0);
  });

  test("is bounded by costBudget, for each invocation", async () => {
    await using medium = await open();
    const { costs, options } = told(medium);
    const costBudget = { requests: 12, onBreach: "throw" } as const;
    const handler = withStore<number, number>({ ...options, costBudget }, async (n, _c, store) => {
      for (let write = 0; write < n; write++) await store.set(`r${n}`, write);
    });
    await handler(2, lambdaContext("two"));
    expect(await rejection(handler(40, lambdaContext("many")))).toBeInstanceOf(BudgetExceededError);
    await handler(2, lambdaContext("two again"));
    expect([...costs.values()].map((cost) => requestsOf(cost) - cost.requests.head <= 12)).toEqual([
      true,
      true,
      true,
    ]);
  });

  test("of a compactor is in its report: the sum of its passes", async () => {
    await using medium = await open();
    await put(medium, 3);
    const lines: string[] = [];
    const prices = { getPerMillion: 0, listPerMillion: 0, putPerMillion: 1_000_000 };
    const handler = createCompactor({
      ...medium,
      metrics: false,
      prices,
      log: (line) => lines.push(line),
    });
    const { cost } = await handler({}, lambdaContext());
    expect(cost).toMatchObject({ usd: cost.requests.put });
    // Lease taken and given back, run, index, manifest.
    expect(cost.requests.put).toBeGreaterThanOrEqual(5);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ cost });
    const idle = await handler({}, lambdaContext());
    expect(idle.cost).toMatchObject({ requests: { put: 0, list: 1 }, usd: 0 });
  });
});

describe("withStore", () => {
  test("logs the cost as a line of JSON if the option says so", async () => {
    using log = vi.spyOn(console, "log").mockImplementation(() => undefined);
    const options = { location: "store", backend: new MemoryBackend() };
    const handler = (logCost?: boolean): Promise<unknown> =>
      withStore({ ...options, logCost }, () => "fine")({}, lambdaContext("one"));
    await handler();
    expect(log).not.toHaveBeenCalled();
    await handler(true);
    const [line] = log.mock.calls[0] ?? [];
    expect(JSON.parse(String(line))).toEqual({
      message: "opslog cost",
      requestId: "one",
      requests: { get: 2, head: 0, put: 0, list: 1, delete: 0 },
      bytesIn: 0,
      bytesOut: 0,
      roundTrips: 2,
      usd: 0.000_005_8,
    });
  });

  test("waits for onCost; what it fails with is a warning, not the invocation's failure", async () => {
    const warnings: string[] = [];
    const handler = withStore(
      {
        location: "store",
        backend: new MemoryBackend(),
        onCost: () => Promise.reject(new Error("no meter")),
        onWarning: (message) => warnings.push(message),
      },
      () => "fine",
    );
    expect(await handler({}, lambdaContext())).toBe("fine");
    expect(warnings).toEqual(["onCost failed: Error: no meter"]);
  });

  test("reports what an opening cost that failed", async () => {
    const costs: Cost[] = [];
    const onCost = (cost: Cost): void => void costs.push(cost);
    const handler = withStore(
      {
        location: "store",
        backend: new MemoryBackend(),
        onCost,
        costBudget: { requests: 1, onBreach: "throw" },
      },
      () => "fine",
    );
    expect(await rejection(handler({}, lambdaContext()))).toBeInstanceOf(BudgetExceededError);
    expect(costs.map(requestsOf)).toEqual([1]);
  });

  test("calls onBacklog, which has settled when the invocation is over", async () => {
    const backend = new MemoryBackend();
    const medium = {
      location: "store",
      backend: () => backend,
      [Symbol.asyncDispose]: async () => {},
    };
    await put(medium, 6);
    const compact = createCompactor({
      location: "store",
      backend,
      metrics: false,
      log: () => undefined,
    });
    let compactions = 0;
    const handler = withStore<number, number, number | undefined>(
      {
        location: "store",
        backend,
        backlogSegments: 5,
        onBacklog: async () => {
          await compact({}, lambdaContext());
          compactions++;
        },
      },
      (n, _context, store) => store.read(`r${n}`),
    );
    expect(await handler(3, lambdaContext())).toBe(3);
    expect(compactions).toBe(1);
    expect(await handler(4, lambdaContext())).toBe(4);
    expect(compactions).toBe(1);
  });

  test.each([
    [{ logCost: "yes" }, "logCost"],
    [{ onCost: true }, "onCost"],
    [{ prices: { perGet: 1 } }, "prices"],
    [{ costBudget: { requests: -1 } }, "costBudget"],
    [{ backlogSegments: 0.5 }, "backlogSegments"],
    [{ onBacklog: "compact" }, "onBacklog"],
  ])("refuses %j", async (wrong, name) => {
    const options: WithStoreOptions = { location: "store", backend: new MemoryBackend() };
    Object.assign(options, wrong);
    const handler = withStore(options, () => "fine");
    expect(await rejection(handler({}, lambdaContext()))).toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining(`option ${name}`),
    });
  });
});
