/** Short runs of the contention, on one medium. */
import { expect, test } from "vitest";
import type { Medium } from "../processes/medium.ts";
import { runSeed } from "../processes/random.ts";
import { bundleWorkerProgram } from "../processes/worker-process.ts";
import type { WorkerProgram } from "../processes/worker-program.ts";
import { repeat } from "../support/effort.ts";
import { tempDir } from "../support/temp-dir.ts";
import { contend, type ContentionOptions, describeContention } from "./contention.ts";

const TIMEOUT_MS = 10 * 60_000;

/** @param disturbed where processes find the medium behind a network that breaks, if there is one */
export function contentionSuite(
  openMedium: () => Promise<Medium>,
  disturbed: (seed: number) => Promise<WorkerProgram> = bundleWorkerProgram,
): void {
  async function run(
    program: WorkerProgram,
    options: Omit<ContentionOptions, "seed" | "program" | "location" | "directory">,
    seed: number,
  ): ReturnType<typeof contend> {
    await using medium = await openMedium();
    await using journals = await tempDir();
    const { location } = medium;
    const report = await contend({ ...options, seed, program, location, directory: journals.path });
    const text = describeContention(report, { seed });
    console.log(text);
    expect(report.violations, text).toEqual([]);
    expect(report.explained).toBe("fine");
    return report;
  }

  test(
    "20 processes that increment one record five times make 100 of it",
    { timeout: TIMEOUT_MS },
    async () => {
      const program = await bundleWorkerProgram();
      const alone = { counters: 1, mixed: false, kills: false, compactors: 2 };
      const shape = { ...alone, processes: 20, increments: 5 };
      const report = await run(program, shape, runSeed());
      expect(report).toMatchObject({ acked: 100, unknown: 0, counted: 100 });
    },
  );

  test(
    "updates, conditions and once hold while processes are killed and frozen, and purges race",
    { timeout: TIMEOUT_MS },
    async () => {
      const seed = runSeed();
      await using program = await disturbed(seed);
      const all = { counters: 2, mixed: true, kills: true, compactors: 2 };
      const size = repeat({
        quick: { processes: 4, increments: 25 },
        full: { processes: 8, increments: 15 },
      });
      const report = await run(program, { ...all, ...size }, seed);
      // Otherwise it would have proved nothing.
      expect(report.kills).toBeGreaterThan(0);
      expect(report.acked).toBeGreaterThan(size.increments);
      expect(report.onceRuns).toBeGreaterThan(0);
      expect(report.generation).toBeGreaterThan(1);
    },
  );
}
