/** Processes of worker.ts that end with the test that started them. */
import { onTestFinished } from "vitest";
import { oncePerRun } from "../support/once-per-run.ts";
import { bundleWorker, startWorkers } from "./worker-program.ts";
import type { WorkerProgram } from "./worker-program.ts";

export type { Ending, WorkerProcess, WorkerProgram } from "./worker-program.ts";

export async function bundleWorkerProgram(): Promise<WorkerProgram> {
  const program = startWorkers(await oncePerRun("worker-program", bundleWorker));
  // Also after a time limit, when the test itself disposes of nothing.
  onTestFinished(() => program.killAll());
  return program;
}
