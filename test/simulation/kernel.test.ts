/** Which event is next: by time, and by the priorities of tasks. */
import { describe, expect, test } from "vitest";
import { Kernel } from "./kernel.ts";
import { Priorities } from "./priorities.ts";
import { Prng } from "./prng.ts";
import { simulate } from "./simulate.ts";

interface Given {
  readonly task?: string;
  readonly atMs: number;
}

/** Runs one event for each, in which `act` may do more; tells who ran when. */
async function run(kernel: Kernel, given: readonly Given[], untilMs = 1e9): Promise<string[]> {
  const ran: string[] = [];
  for (const { task, atMs } of given) {
    kernel.after(atMs, () => ran.push(`${task ?? "platform"} ${atMs}, at ${kernel.nowMs}`), {
      task,
    });
  }
  await kernel.run(untilMs);
  return ran;
}

/** Priorities with a window of a second under which `first` goes before `second`. */
function prioritiesOf(first: string, second: string): Priorities {
  for (let n = 1; ; n++) {
    const priorities = new Priorities(new Prng(`priorities ${n}`));
    if (priorities.windowMs !== 1_000) continue;
    if (priorities.of(first) > priorities.of(second)) return priorities;
  }
}

describe("events", () => {
  test("of a rest that rounding left of a time limit let time go on", async () => {
    const kernel = new Kernel();
    await kernel.run(131_646.773_195_876_27);
    const beganMs = kernel.nowMs;
    let waits = 0;
    // Less than the distance to the next number.
    const wait = (): void => kernel.after(1e-12, again);
    const again = (): void => {
      if (++waits < 1_000 && kernel.nowMs === beganMs) wait();
    };
    wait();
    await kernel.run(beganMs + 1);
    expect(waits).toBe(1);
  });

  test("are in the order of time, of one moment in the order of scheduling", async () => {
    const given = [3, 1, 2, 1].map((atMs, at) => ({ atMs, task: `t${at}` }));
    expect(await run(new Kernel(), given)).toEqual([
      "t1 1, at 1",
      "t3 1, at 1",
      "t2 2, at 2",
      "t0 3, at 3",
    ]);
  });

  test("of a high priority go before those of a low one, which are then late", async () => {
    const kernel = new Kernel(prioritiesOf("high", "low"));
    const given = [
      { task: "low", atMs: 10 },
      { task: "low", atMs: 20 },
      { task: "high", atMs: 500 },
      { task: "high", atMs: 600 },
    ];
    expect(await run(kernel, given)).toEqual([
      "high 500, at 500",
      "high 600, at 600",
      "low 10, at 600",
      "low 20, at 600",
    ]);
  });

  test("are held back by no more than the window", async () => {
    const kernel = new Kernel(prioritiesOf("high", "low"));
    const given = [
      { task: "low", atMs: 10 },
      { task: "high", atMs: 1_010 },
      { task: "high", atMs: 1_011 },
    ];
    expect(await run(kernel, given)).toEqual([
      "high 1010, at 1010",
      "low 10, at 1010",
      "high 1011, at 1011",
    ]);
  });

  test("of nobody are held back by nobody", async () => {
    const kernel = new Kernel(prioritiesOf("high", "low"));
    expect(await run(kernel, [{ task: "high", atMs: 5 }, { atMs: 5 }])).toEqual([
      "platform 5, at 5",
      "high 5, at 5",
    ]);
  });

  test("do not run before the time that was asked for, and are by time once priorities are dropped", async () => {
    const kernel = new Kernel(prioritiesOf("high", "low"));
    const given = [
      { task: "low", atMs: 10 },
      { task: "high", atMs: 500 },
    ];
    const ran = await run(kernel, given, 100);
    expect(ran).toEqual(["low 10, at 10"]);
    const later = new Kernel(prioritiesOf("high", "low"));
    later.dropPriorities();
    expect(await run(later, given)).toEqual(["low 10, at 10", "high 500, at 500"]);
  });

  test("that were called off do not run", async () => {
    const kernel = new Kernel(prioritiesOf("high", "low"));
    const ran: string[] = [];
    const timer = { isOff: false };
    kernel.after(1, () => ran.push("low"), { task: "low" });
    kernel.after(2, () => ran.push("called off"), { task: "high", timer });
    timer.isOff = true;
    await kernel.run(10);
    expect(ran).toEqual(["low"]);
    expect(kernel.nowMs).toBe(10);
  });
});

describe("priorities", () => {
  test("d - 1 times the task that is about to run falls below all others", () => {
    for (let n = 1; n <= 200; n++) {
      const priorities = new Priorities(new Prng(`seed ${n}`));
      const [, d] = /d = (\d)/.exec(priorities.describe()) ?? [];
      const tasks = ["a", "b", "c"];
      let falls = 0;
      for (let step = 0; step < 7_000; step++) {
        const task = tasks[step % 3] ?? "";
        if (!priorities.falls(task)) continue;
        falls++;
        const others = tasks.filter((one) => one !== task);
        for (const other of others) expect(priorities.of(task)).toBeLessThan(priorities.of(other));
      }
      expect(falls).toBe(Number(d) - 1);
    }
  });

  test("are of every depth from 2 to 5, and the same for the same seed", () => {
    const described = Array.from({ length: 100 }, (_, n) =>
      new Priorities(new Prng(`seed ${n}`)).describe(),
    );
    const depths = new Set(described.map((text) => /d = (\d)/.exec(text)?.[1]));
    expect(depths).toEqual(new Set(["2", "3", "4", "5"]));
    expect(new Priorities(new Prng("seed 7")).describe()).toBe(described[7]);
  });

  test("are those of every sixth seed, which a failure tells", async () => {
    const [ten, eleven] = [await simulate(10), await simulate(11)];
    expect(ten.schedule).toMatch(/^PCT, d = [2-5], window \d+ ms, changes at steps /);
    expect(ten.counts["scheduledByPriority"]).toBe(1);
    expect(eleven.schedule).toBe("uniform");
    expect((await simulate(10)).hash).toBe(ten.hash);
    expect((await simulate(10, "uniform")).hash).not.toBe(ten.hash);
  });
});
