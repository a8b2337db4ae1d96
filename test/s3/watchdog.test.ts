import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { withWatchdog } from "../../src/s3/requests/limits.ts";
import { rejection, virtualRuntime } from "./support.ts";

test("work is given up a time-out after its last sign of life", async () => {
  const runtime = virtualRuntime();
  let touch = (): void => {};
  let signal: AbortSignal | undefined;
  const watched = withWatchdog(runtime, 100, (abort, alive) => {
    [signal, touch] = [abort, alive];
    return new Promise<never>(() => {});
  });
  const failed = rejection(watched);
  runtime.advance(60);
  touch();
  runtime.advance(60);
  await setImmediate();
  expect(signal?.aborted).toBe(false);
  runtime.advance(40);
  expect(await failed).toMatchObject({ name: "TimeoutError" });
  expect(signal?.aborted).toBe(true);
});

test("work that ends in time returns its own result, and is not aborted", async () => {
  let signal: AbortSignal | undefined;
  const result = await withWatchdog(virtualRuntime(), 100, async (abort) => {
    signal = abort;
    return "done";
  });
  expect(result).toBe("done");
  expect(signal?.aborted).toBe(false);
});

test.each([
  ["while nothing arrives", false],
  ["after a sign of life", true],
])("a clock that is set back prolongs nothing, %s", async (_, isAlive) => {
  const runtime = virtualRuntime();
  let setBackMs = 0;
  const skewed = { ...runtime, nowMs: () => runtime.nowMs() - setBackMs };
  let touch = (): void => {};
  const watched = withWatchdog(skewed, 100, (_signal, alive) => {
    touch = alive;
    return new Promise<never>(() => {});
  });
  const failed = rejection(watched);
  if (isAlive) touch();
  setBackMs = 3_600_000;
  runtime.advance(100);
  await setImmediate();
  if (isAlive) runtime.advance(100);
  expect(await failed).toMatchObject({ name: "TimeoutError" });
});
