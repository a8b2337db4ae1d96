/**
 * For every suite: a rejected promise without a handler fails the test in which it rejects.
 * Outside of tests it ends the process, with everything else in it. Processes that tests start are
 * ended by Node itself, and their suites look at the exit code and at stderr.
 */
import { setImmediate } from "node:timers/promises";
import { afterEach, expect } from "vitest";

/** This module is loaded again for each test file; the process has one listener. */
const UNHANDLED = Symbol.for("opslog-serverless.test.unhandled");

function unhandledRejections(): unknown[] {
  const found: unknown = Reflect.get(globalThis, UNHANDLED);
  if (Array.isArray(found)) return found;
  const reasons: unknown[] = [];
  Reflect.set(globalThis, UNHANDLED, reasons);
  process.on("unhandledRejection", (reason) => reasons.push(reason));
  return reasons;
}

const unhandled = unhandledRejections();

afterEach(async () => {
  // Node reports it once the microtasks that could still handle it have run.
  await setImmediate();
  expect(unhandled.splice(0), "unhandled rejections").toEqual([]);
});
