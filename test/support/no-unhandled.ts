/**
 * For every suite: a promise that rejects with nobody to handle it fails the test in which it does.
 * Outside of tests it ends the process, with everything else in it. Processes that tests start are
 * ended by Node itself, and their suites look at the exit code and at stderr.
 */
import { setImmediate } from "node:timers/promises";
import { afterEach, expect } from "vitest";

const unhandled: unknown[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));

afterEach(async () => {
  // Node tells of it once the microtasks that could still handle it have run.
  await setImmediate();
  expect(unhandled.splice(0), "unhandled rejections").toEqual([]);
});
