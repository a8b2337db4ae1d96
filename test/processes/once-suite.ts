/** A function that several processes call once: at the same moment, and when the one that runs it is killed. */
import { expect, test } from "vitest";
import { Store } from "../../src/store/store.ts";
import { backendFor, type Medium } from "./medium.ts";
import { bundleWorkerProgram, type WorkerProcess } from "./worker-process.ts";

const PROCESSES = 20;
const TIMEOUT_MS = 5 * 60_000;
const SETTINGS = {};
/** Media date their answers in whole seconds. */
const LEASE_MS = 2_000;

export function onceSuite(openMedium: () => Promise<Medium>): void {
  test(
    `of a webhook that ${PROCESSES} processes get at once there is one effect`,
    { timeout: TIMEOUT_MS },
    async () => {
      await using medium = await openMedium();
      await using program = await bundleWorkerProgram();
      const { location } = medium;
      await createStore(location);
      const workers = Array.from({ length: PROCESSES }, (_, n) => {
        const task = { kind: "once", agentId: `a${n}`, key: "event", hangs: false } as const;
        return program.start({ ...task, location, leaseMs: 60_000, settings: SETTINGS });
      });
      await Promise.all(workers.map((worker) => worker.answer()));
      for (const worker of workers) worker.go();
      const outcomes = await Promise.all(workers.map(outcomeOf));
      expect(outcomes.filter(({ ran }) => ran)).toHaveLength(1);
      const [winner] = outcomes.filter(({ ran }) => ran);
      expect(new Set(outcomes.map(({ result }) => result))).toEqual(new Set([winner?.result]));
    },
  );

  test(
    "what a process that is killed had begun is run by another once its lease is over",
    { timeout: TIMEOUT_MS },
    async () => {
      await using medium = await openMedium();
      await using program = await bundleWorkerProgram();
      const { location } = medium;
      await createStore(location);
      const common = { kind: "once", location, key: "event", settings: SETTINGS } as const;
      const leaseMs = LEASE_MS;
      const first = program.start({ ...common, agentId: "first", leaseMs, hangs: true });
      await first.answer();
      first.go();
      expect(await first.answer()).toEqual({ ran: true });
      const second = program.start({ ...common, agentId: "second", leaseMs, hangs: false });
      await second.answer();
      // For longer than a lease: it is renewed.
      await new Promise((resolve) => setTimeout(resolve, 1.5 * LEASE_MS));
      const killedMs = performance.now();
      second.go();
      await first.kill();
      expect(await outcomeOf(second)).toEqual({ ran: true, result: "second" });
      expect(performance.now() - killedMs).toBeGreaterThan(LEASE_MS / 4);
    },
  );
}

/** With lanes. */
async function createStore(location: string): Promise<void> {
  const backend = await backendFor(location, SETTINGS);
  await (await Store.open(location, { backend, agentId: "first" })).close();
}

async function outcomeOf(worker: WorkerProcess): Promise<{ ran: boolean; result: unknown }> {
  let ran = false;
  for (;;) {
    const answer = (await worker.answer()) as { ran?: boolean; result?: unknown };
    if (answer.ran !== true) return { ran, result: answer.result };
    ran = true;
  }
}
