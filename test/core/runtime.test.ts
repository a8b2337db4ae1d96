import { expect, test } from "vitest";
import { systemRuntime } from "../../src/core/runtime.ts";

test.each(["sleep", "idle"] as const)(
  "%s for longer than a timer can be set ends early only by its signal",
  async (wait) => {
    for (const ms of [2 ** 31, 1e16, Infinity]) {
      const end = new AbortController();
      let hasEnded = false;
      const waited = systemRuntime[wait](ms, end.signal).then(() => (hasEnded = true));
      // A timer that overflows fires after 1 ms.
      await systemRuntime.sleep(5);
      expect(hasEnded).toBe(false);
      end.abort();
      await waited;
    }
  },
);

test("what takes no time, or is no time, ends at once", async () => {
  for (const ms of [0, -1, Number.NaN, 1]) await systemRuntime.sleep(ms);
});

test("many calls wait on one signal without a warning of the system", async () => {
  const warnings: Error[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  process.on("warning", note);
  const end = new AbortController();
  const waits = Array.from({ length: 32 }, () => systemRuntime.sleep(60_000, end.signal));
  end.abort();
  await Promise.all(waits);
  await systemRuntime.sleep(1);
  process.off("warning", note);
  expect(warnings).toEqual([]);
});

test("a signal of another realm ends a wait, too", async () => {
  // As under jsdom, whose AbortController is not Node's: Node refuses to set its limit of listeners.
  const listeners = new Set<() => void>();
  const signal = {
    aborted: false,
    addEventListener: (_: string, listener: () => void) => void listeners.add(listener),
    removeEventListener: (_: string, listener: () => void) => void listeners.delete(listener),
  };
  const waited = Reflect.apply(systemRuntime.sleep, systemRuntime, [60_000, signal]);
  for (const listener of listeners) listener();
  await waited;
  expect(listeners.size).toBe(0);
});
