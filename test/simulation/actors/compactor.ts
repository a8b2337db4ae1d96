/** Scheduled compactors: one pass after the other, each as a process of its own, often several. */
import { Compactor } from "../../../src/compaction/compactor.ts";
import type { CompactionReport } from "../../../src/compaction/report.ts";
import type { CompactionLimits } from "../../../src/compaction/plan.ts";
import { createParts } from "../../../src/store/parts.ts";
import { checkExpected, checkWarning } from "../expected.ts";
import { SETTINGS, type World } from "../world.ts";

export interface PassOptions {
  readonly full: boolean;
  readonly limits: CompactionLimits;
}

/** One pass, put together as `compact()` does, with a simulated runtime. */
export async function compactorPass(
  world: World,
  { full, limits }: PassOptions,
): Promise<CompactionReport | undefined> {
  const process = world.spawn("compactor");
  const onWarning = (message: string): void => checkWarning(world, message);
  const schema = { version: Number.MAX_SAFE_INTEGER, migrate: undefined };
  const backend = world.backendFor(process);
  await backend.initialize("simulated", { readOnly: false });
  const given = { backend, location: "store", runtime: process };
  // What one process is set to must not break what another has promised to readers.
  const segmentGraceMs = process.prng.pick([SETTINGS.segmentGraceMs, 1_500, 0]);
  const settings = { ...world.settingsFor(process), segmentGraceMs };
  const parts = createParts({ ...given, settings, onWarning, schema });
  try {
    const { report } = await new Compactor({ ...parts, limits }).pass({ full });
    world.kernel.trace(`${process.name} ${report.outcome} ${report.generation}`);
    return report;
  } catch (error) {
    checkExpected(world, process, "compaction", error);
    return undefined;
  } finally {
    process.kill();
  }
}
