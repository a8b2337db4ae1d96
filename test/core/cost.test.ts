import { describe, expect, test } from "vitest";
import { CostMeter } from "../../src/core/cost-meter.ts";
import {
  breachOf,
  type Cost,
  DEFAULT_PRICES,
  priceOf,
  resolveBudget,
  resolvePrices,
} from "../../src/core/cost.ts";
import { InvalidArgumentError } from "../../src/core/errors.ts";

const NONE = { get: 0, head: 0, put: 0, list: 0, delete: 0 };
const GB = 2 ** 30;

describe("the price", () => {
  test("by default is that of S3 Standard: a million of each", () => {
    const price = (kind: keyof typeof NONE): number =>
      priceOf({ requests: { ...NONE, [kind]: 1_000_000 }, bytesIn: GB }, DEFAULT_PRICES);
    expect(["get", "head", "put", "list", "delete"].map((kind) => price(kind as "get"))).toEqual([
      0.4, 0.4, 5, 5, 0,
    ]);
  });

  test("adds up what is given, egress too", () => {
    const prices = resolvePrices({ getPerMillion: 1, putPerMillion: 10, egressPerGb: 0.09 });
    expect(prices).toEqual({
      ...DEFAULT_PRICES,
      getPerMillion: 1,
      putPerMillion: 10,
      egressPerGb: 0.09,
    });
    const requests = { get: 3, head: 2, put: 7, list: 1, delete: 1_000 };
    expect(priceOf({ requests, bytesIn: GB / 2 }, prices)).toBeCloseTo(
      (5 * 1 + 7 * 10 + 1 * 5) / 1e6 + 0.045,
      15,
    );
  });

  test.each([
    [{ getPerMillion: -1 }, "option prices.getPerMillion: expected a non-negative number"],
    [{ putPerMillion: "5" }, "option prices.putPerMillion"],
    [{ egressPerGb: Number.NaN }, "option prices.egressPerGb"],
    [{ perGet: 1 }, 'option prices: unknown name "perGet"; known are getPerMillion'],
    [5, "option prices: expected an object"],
    [null, "option prices: expected an object"],
  ])("%j is refused", (prices, message) => {
    expect(() => resolvePrices(prices)).toThrow(InvalidArgumentError);
    expect(() => resolvePrices(prices)).toThrow(message);
  });
});

describe("a budget", () => {
  const spent = (requests: Partial<typeof NONE>, bytesIn = 0): Omit<Cost, "roundTrips"> => {
    const all = { ...NONE, ...requests };
    return {
      requests: all,
      bytesIn,
      bytesOut: 0,
      usd: priceOf({ requests: all, bytesIn }, DEFAULT_PRICES),
    };
  };

  test("admits as much as it says", () => {
    expect(breachOf({ requests: 4 }, spent({ get: 2, put: 1, delete: 1 }))).toBeUndefined();
    expect(breachOf({ requests: 4 }, spent({ get: 3, put: 1, delete: 1 }))).toBe(
      "requests: 5 of at most 4",
    );
    // Three times 0.4 is not 1.2.
    expect(breachOf({ usd: 0.000_001_2 }, spent({ get: 3 }))).toBeUndefined();
    expect(breachOf({ usd: 0.000_001_2 }, spent({ get: 4 }))).toMatch(/^usd: /);
    expect(breachOf({ bytesIn: 10 }, spent({ get: 4 }, 9))).toBeUndefined();
    expect(breachOf({ bytesIn: 10 }, spent({ get: 4 }, 10))).toBe(
      "bytesIn: 10 have arrived, at most 10 may",
    );
    expect(breachOf({}, spent({ get: 1e9 }, 1e12))).toBeUndefined();
    expect(breachOf({ requests: 0 }, spent({ get: 1 }))).toBeDefined();
  });

  test("warns by default", () => {
    expect(resolveBudget(undefined)).toBeUndefined();
    expect(resolveBudget({ requests: 3 })).toMatchObject({ requests: 3, onBreach: "warn" });
    expect(resolveBudget({ usd: 1, onBreach: "throw" })).toMatchObject({ onBreach: "throw" });
  });

  test.each([
    [{ request: 3 }, "unknown name"],
    [{ requests: -1 }, "costBudget.requests"],
    [{ usd: "1" }, "costBudget.usd"],
    [{ bytesIn: Number.NaN }, "costBudget.bytesIn"],
    [{ onBreach: "log" }, 'costBudget.onBreach: expected "warn" or "throw"'],
    ["10", "option costBudget: expected an object"],
  ])("%j is refused", (budget, message) => {
    expect(() => resolveBudget(budget)).toThrow(InvalidArgumentError);
    expect(() => resolveBudget(budget)).toThrow(message);
  });
});

describe("a meter", () => {
  test("counts requests, bytes and money", () => {
    const meter = new CostMeter(resolvePrices({ putPerMillion: 3_000_000 }));
    meter.begin("put", 7)(0);
    meter.begin("get", 0)(100);
    meter.sent(3);
    expect(meter.cost).toEqual({
      requests: { ...NONE, put: 1, get: 1 },
      bytesIn: 100,
      bytesOut: 10,
      roundTrips: 2,
      usd: 3.000_000_4,
    });
  });

  test("counts as round trips the longest chain of requests that waited for each other", () => {
    const meter = new CostMeter();
    const trips = (): number => meter.cost.roundTrips;
    const [a, b] = [meter.begin("get", 0), meter.begin("list", 0)];
    expect(trips()).toBe(1);
    a(0);
    const c = meter.begin("get", 0); // After a.
    expect(trips()).toBe(2);
    b(0);
    const d = meter.begin("get", 0); // After a and b, beside c.
    expect(trips()).toBe(2);
    c(0);
    const e = meter.begin("get", 0); // After a and c.
    expect(trips()).toBe(3);
    d(0);
    e(0);
    meter.begin("put", 0);
    expect(trips()).toBe(4);
  });

  test("counts a call that has sent nothing yet, once, for what may still be begun", () => {
    const meter = new CostMeter();
    const requests = (): number => meter.costWith("get").requests.get;
    const arrived = meter.expect("get");
    expect([requests(), meter.cost.requests.get]).toEqual([2, 0]);
    meter.begin("get", 0);
    arrived();
    arrived();
    expect([requests(), meter.cost.requests.get]).toEqual([2, 1]);
  });
});
