import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { SilenceLimit } from "../../src/s3/requests/exchange.ts";
import { rejection, virtualRuntime } from "./support.ts";

test("work is given up a time-out after its last sign of life", async () => {
  const runtime = virtualRuntime();
  const limit = new SilenceLimit(runtime, 100);
  const failed = rejection(limit.run(() => new Promise<never>(() => {})));
  runtime.advance(60);
  limit.touch();
  runtime.advance(60);
  await setImmediate();
  expect(limit.signal.aborted).toBe(false);
  runtime.advance(40);
  expect(await failed).toMatchObject({ name: "TimeoutError" });
  expect(limit.signal.aborted).toBe(true);
});

test("work that ends in time returns its own result, and is not aborted", async () => {
  const limit = new SilenceLimit(virtualRuntime(), 100);
  expect(await limit.run(async () => "done")).toBe("done");
  expect(limit.signal.aborted).toBe(false);
});

test.each([
  ["while nothing arrives", false],
  ["after a sign of life", true],
])("a clock that is set back prolongs nothing, %s", async (_, isAlive) => {
  const runtime = virtualRuntime();
  let setBackMs = 0;
  const skewed = { ...runtime, nowMs: () => runtime.nowMs() - setBackMs };
  const limit = new SilenceLimit(skewed, 100);
  const failed = rejection(limit.run(() => new Promise<never>(() => {})));
  if (isAlive) limit.touch();
  setBackMs = 3_600_000;
  runtime.advance(100);
  await setImmediate();
  if (isAlive) runtime.advance(100);
  expect(await failed).toMatchObject({ name: "TimeoutError" });
});
