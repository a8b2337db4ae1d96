import { expect, test } from "vitest";
import { BudgetExceededError } from "../../src/core/errors.ts";
import { ByteCache } from "../../src/runs/byte-cache.ts";

const sized =
  (value: string, bytes = 10) =>
  async () => ({ value, bytes });

async function fill(cache: ByteCache<string>, ...keys: string[]): Promise<void> {
  for (const key of keys) await cache.getOrLoad(key, sized(`value of ${key}`));
}

test("what was loaded is kept and not loaded again", async () => {
  const cache = new ByteCache<string>();
  expect(cache.get("a")).toBeUndefined();
  await fill(cache, "a");
  expect(cache.get("a")).toBe("value of a");
  expect(await cache.getOrLoad("a", sized("other"))).toBe("value of a");
  expect(cache.bytes).toBe(10);
});

test("the least recently used go first, until the bound holds", async () => {
  const cache = new ByteCache<string>(30);
  await fill(cache, "a", "b", "c");
  cache.get("a");
  await cache.getOrLoad("d", sized("value of d", 20));
  expect(["a", "b", "c", "d"].map((key) => cache.get(key) !== undefined)).toEqual([
    true,
    false,
    false,
    true,
  ]);
  expect(cache.bytes).toBe(30);
});

test("a value above the bound is handed out, drives nothing out and is not kept", async () => {
  const cache = new ByteCache<string>(30);
  await fill(cache, "a");
  expect(await cache.getOrLoad("huge", sized("huge", 31))).toBe("huge");
  expect(cache.get("huge")).toBeUndefined();
  expect(cache.get("a")).toBe("value of a");
});

test("concurrent loads of a key share one", async () => {
  const cache = new ByteCache<string>();
  let loads = 0;
  const load = async () => ({ value: `load ${++loads}`, bytes: 1 });
  const both = Promise.all([cache.getOrLoad("a", load), cache.getOrLoad("a", load)]);
  expect(cache.isHeldOrLoading("a")).toBe(true);
  expect(await both).toEqual(["load 1", "load 1"]);
  expect(cache.bytes).toBe(1);
});

test("a failed load fails all who wait and is forgotten", async () => {
  const cache = new ByteCache<string>();
  const failure = new Error("unreachable");
  const load = () => Promise.reject(failure);
  const both = await Promise.allSettled([cache.getOrLoad("a", load), cache.getOrLoad("a", load)]);
  expect(both.map((one) => one.status === "rejected" && one.reason === failure)).toEqual([
    true,
    true,
  ]);
  expect(cache.isHeldOrLoading("a")).toBe(false);
  await fill(cache, "a");
  expect(cache.get("a")).toBe("value of a");
});

test("a load that a budget refused fails who began it; who waits for it loads for itself", async () => {
  const cache = new ByteCache<string>();
  const refusal = new BudgetExceededError("too dear");
  const refused = () => Promise.reject(refusal);
  const all = await Promise.allSettled([
    cache.getOrLoad("a", refused),
    cache.getOrLoad("a", sized("loaded")),
    cache.getOrLoad("a", refused),
  ]);
  expect(all[0]).toEqual({ status: "rejected", reason: refusal });
  expect(all[1]).toEqual({ status: "fulfilled", value: "loaded" });
  expect(cache.get("a")).toBe("loaded");
  await expect(cache.getOrLoad("b", refused)).rejects.toBe(refusal);
});

test("a load that throws at once is forgotten too", async () => {
  const cache = new ByteCache<string>();
  const load = (): Promise<never> => {
    throw new Error("at once");
  };
  await expect(cache.getOrLoad("a", load)).rejects.toThrow("at once");
  expect(cache.isHeldOrLoading("a")).toBe(false);
});
