/** Scheduled compactors: one pass after the other, each as a process of its own, often several. */
import { Compactor } from "../../../src/compaction/compactor.ts";
import type { CompactionReport } from "../../../src/compaction/report.ts";
import type { CompactionLimits } from "../../../src/compaction/plan.ts";
import { RUNS_PREFIX } from "../../../src/format/paths.ts";
import { Deadline } from "../../../src/storage/deadline.ts";
import { createEngine } from "../../../src/engine/engine.ts";
import { checkExpected, checkWarning } from "../expected.ts";
import type { SimProcess } from "../sim-process.ts";
import { SETTINGS, type ShortPasses, type SimMedium, type World } from "../world.ts";

export interface PassOptions {
  readonly full: boolean;
  readonly limits: CompactionLimits;
  /** Undefined: it takes as long as it takes. */
  readonly short?: ShortPasses | undefined;
}

/** One pass, put together as `compact()` does, with a simulated runtime. */
export async function compactorPass(
  world: World,
  { full, limits, short }: PassOptions,
): Promise<CompactionReport | undefined> {
  const process = world.spawn("compactor");
  const onWarning = (message: string): void => checkWarning(world, message);
  const backend = world.backendFor(process);
  await backend.initialize("simulated", { readOnly: false });
  const given = { backend, location: "store", runtime: process };
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
    const { report } = await new Compactor({ ...engine, limits }).pass({ full, ...within });
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

function readRunsSlowly(backend: SimMedium, process: SimProcess, bytesPerMs: number): void {
  const get = backend.get.bind(backend);
  backend.get = async (path, options) => {
    const result = await get(path, options);
    const isRun = path.startsWith(RUNS_PREFIX) && path.endsWith(".jsonl");
    if (isRun && result.status === "found") await process.sleep(result.body.length / bytesPerMs);
    return result;
  };
}
