import { expect, test } from "vitest";
import { Deferred } from "../../src/core/deferred.ts";
import { Mutex } from "../../src/core/mutex.ts";

test("tasks run one at a time, in the order of the calls, failures notwithstanding", async () => {
  const mutex = new Mutex();
  const gate = new Deferred();
  const events: string[] = [];
  const first = mutex.run(async () => {
    events.push("first begins");
    await gate.promise;
    events.push("first ends");
    return 1;
  });
  const failing = mutex.run(() => {
    events.push("second");
    throw new RangeError("second fails");
  });
  const third = mutex.run(async () => {
    await Promise.resolve();
    events.push("third");
    return 3;
  });
  await Promise.resolve();
  expect(events).toEqual(["first begins"]);
  gate.resolve();
  expect(await first).toBe(1);
  await expect(failing).rejects.toThrow(new RangeError("second fails"));
  expect(await third).toBe(3);
  expect(events).toEqual(["first begins", "first ends", "second", "third"]);
});
