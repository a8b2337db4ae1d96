/**
 * `npm run simulate -- --seeds N [--seed S] [--jobs J] [--seconds T] [--trace L] [--schedule uniform|PCT]`:
 * N simulations from seed S on (default 1) in J threads (default: one for each core), fewer when the
 * time is up first, each under the schedule that its seed says, unless one is given for all.
 * Prints the trace of the lowest seed that fails, and what a seed costs. The same file is the thread's program.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { isSchedule } from "./simulate.ts";
import { runSeeds, Tally, type TallyState } from "./tally.ts";

/** So many seeds at a time: the threads end at about the same time. */
const SEEDS_PER_TURN = 10;
const PROGRESS_EVERY_SEEDS = 5_000;
/** Most of what a simulation makes is garbage at once. */
const YOUNG_GENERATION_MB = 48;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "200" },
      seed: { type: "string", default: "1" },
      jobs: { type: "string", default: String(availableParallelism()) },
      seconds: { type: "string", default: "Infinity" },
      trace: { type: "string", default: "60" },
      schedule: { type: "string" },
    },
  });
  const first = Number(values.seed);
  const end = first + Number(values.seeds);
  const startedMs = performance.now();
  const secondsSince = (): number => (performance.now() - startedMs) / 1000;
  let next = first;
  const takeTurn = (): readonly number[] => {
    if (secondsSince() > Number(values.seconds)) return [];
    const count = Math.max(0, Math.min(SEEDS_PER_TURN, end - next));
    next += count;
    return Array.from({ length: count }, (_, at) => next - count + at);
  };
  const total = new Tally();
  const take = (state: TallyState): void => {
    const before = Math.floor(total.seeds / PROGRESS_EVERY_SEEDS);
    for (const { seed, says } of state.failures) console.log(`seed ${seed}: ${says}`);
    total.add(state);
    if (Math.floor(total.seeds / PROGRESS_EVERY_SEEDS) === before) return;
    console.error(`${total.seeds} seeds in ${secondsSince().toFixed(0)} s`);
  };
  const jobs = Math.max(1, Number(values.jobs));
  await Promise.all(Array.from({ length: jobs }, () => runThread(takeTurn, take, values.schedule)));
  const lowest = total.lowestFailure();
  const lines = Number(values.trace);
  if (lowest !== undefined && lines > 0) {
    console.log(
      [`seed ${lowest.seed} (${lowest.schedule}):`, ...lowest.trace.slice(-lines)].join("\n"),
    );
  }
  const seconds = secondsSince();
  const rate = (total.seeds / seconds).toFixed(1);
  const { user, system } = process.cpuUsage();
  const each = ((user + system) / 1000 / Math.max(1, total.seeds)).toFixed(1);
  console.log(
    `${total.seeds} seeds in ${seconds.toFixed(1)} s (${rate}/s, ${each} ms of CPU each): ` +
      total.summary(),
  );
  const failed = total.failedSeeds();
  console.log(failed.length === 0 ? "no violation" : `failed seeds: ${failed.join(" ")}`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}

/** One thread, until no seeds are left. @throws what ends it before */
function runThread(
  takeTurn: () => readonly number[],
  take: (state: TallyState) => void,
  schedule: string | undefined,
): Promise<void> {
  const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB };
  const worker = new Worker(new URL(import.meta.url), { resourceLimits, workerData: schedule });
  return new Promise((resolve, reject) => {
    const next = (): void => {
      const seeds = takeTurn();
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      if (seeds.length > 0) worker.postMessage(seeds);
      else void worker.terminate().then(() => resolve());
    };
    worker.on("message", (state: TallyState) => {
      take(state);
      next();
    });
    worker.once("error", reject);
    next();
  });
}

if (isMainThread) await main();
else {
  const schedule: unknown = workerData;
  const given = isSchedule(schedule) ? schedule : undefined;
  parentPort?.on("message", (seeds: readonly number[]) => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    void runSeeds(seeds, given).then((tally) => parentPort?.postMessage(tally.state()));
  });
}
