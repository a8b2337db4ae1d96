/** Scheduled compactors: one pass after the other, each as a process of its own, often several. */
import { Compactor } from "../../../src/compaction/compactor.ts";
import type {
  CompactionReport,
  CompactionTask,
  PassResult,
} from "../../../src/compaction/report.ts";
import type { CompactionLimits } from "../../../src/compaction/plan.ts";
import { LOG_PREFIX, RUNS_PREFIX } from "../../../src/format/paths.ts";
import { Deadline } from "../../../src/storage/deadline.ts";
import { createEngine } from "../../../src/engine/engine.ts";
import { checkExpected, checkWarning } from "../expected.ts";
import type { Prng } from "../prng.ts";
import type { SimProcess } from "../sim-process.ts";
import { SETTINGS, type ShortPasses, type SimMedium, type World } from "../world.ts";

export interface PassOptions {
  readonly full: boolean;
  readonly limits: CompactionLimits;
  /** Undefined: it takes as long as it takes. */
  readonly short?: ShortPasses | undefined;
  /** Default: all of the work. */
  readonly task?: CompactionTask | undefined;
}

/** One that comes for all of the work; where it is divided, several at once, most of them for a part. */
export async function comingCompactors(world: World, options: PassOptions): Promise<void> {
  const tasks = world.weather.isDivided ? drawTasks(world.divisions) : [undefined];
  await Promise.all(tasks.map((task) => compactorPass(world, { ...options, task })));
}

/** Of one division, as a rule; also the same part twice, parts of another division, and all of it. */
function drawTasks(prng: Prng): (CompactionTask | undefined)[] {
  const common = prng.pick([1, 2, 2, 3, 4]);
  const draw = (): CompactionTask | undefined => {
    if (prng.chance(0.15)) return undefined;
    const of = prng.chance(0.2) ? prng.pick([1, 2, 3, 4, 16]) : common;
    return { kind: prng.pick(["log", "units"] as const), index: prng.below(of), of };
  };
  return Array.from({ length: prng.between(1, 4) }, draw);
}

/** One pass, put together as `compact()` does, with a simulated runtime. */
export async function compactorPass(
  world: World,
  { full, limits, short, task }: PassOptions,
): Promise<CompactionReport | undefined> {
  const process = world.spawn("compactor");
  const onWarning = (message: string): void => checkWarning(world, message);
  const backend = world.backendFor(process);
  await backend.initialize("simulated", { readOnly: false });
  const { lanes } = world.weather;
  const given = { backend, location: "store", runtime: process, lanes };
  // What one process is set to must not break what another has promised to readers.
  const segmentGraceMs = process.prng.pick([SETTINGS.segmentGraceMs, 1_500, 0]);
  const settings = { ...world.settingsFor(process), segmentGraceMs };
  // By its name, so that nothing is drawn: processes need not agree, and runs of one store differ.
  const compression = process.name.endsWith("3") ? "none" : "deflate";
  const engine = createEngine({ ...given, settings, compression, onWarning });
  const endMs = process.steadyMs() + (short?.passMs ?? Infinity);
  const deadline = short && new Deadline(process, () => endMs - process.steadyMs());
  if (short !== undefined) readRunsSlowly(backend, process, short.runBytesPerMs);
  const within = deadline && { signal: deadline.signal, leftMs: () => deadline.leftMs };
  try {
    const compactor = new Compactor({ ...engine, limits });
    const result = await compactor.pass({ full, task, keepsReplaced: true, ...within });
    const { report } = result;
    countTask(world, task, result);
    const { outcome, generation, publications, more } = report;
    world.kernel.trace(`${process.name} ${outcome} ${generation}`);
    if (publications > 1) world.oracle.counts.portions++;
    if (deadline?.hasPassed === true || (publications > 0 && more)) world.oracle.counts.cutShort++;
    return report;
  } catch (error) {
    checkExpected(world, process, "compaction", error);
    return undefined;
  } finally {
    deadline?.stop();
    process.kill();
  }
}

function countTask(
  { oracle, mergedKeys }: World,
  task: CompactionTask | undefined,
  { report, replaced }: PassResult,
): void {
  if (report.publications > 0 && task?.kind === "log") oracle.counts.logTasks++;
  if (report.publications > 0 && task?.kind === "units") oracle.counts.unitTasks++;
  for (const key of replaced.flatMap(({ sources }) => sources)) {
    if (!key.startsWith(LOG_PREFIX)) continue;
    if (mergedKeys.has(key)) oracle.counts.mergedTwice++;
    mergedKeys.add(key);
  }
}

function readRunsSlowly(backend: SimMedium, process: SimProcess, bytesPerMs: number): void {
  const get = backend.get.bind(backend);
  backend.get = async (path, options) => {
    const result = await get(path, options);
    const isRun = path.startsWith(RUNS_PREFIX) && path.endsWith(".jsonl");
    if (isRun && result.status === "found") await process.sleep(result.body.length / bytesPerMs);
    return result;
  };
}
