/** Plans of one step, for the tests of planning. */
import {
  type CompactionLimits,
  type CompactionPlan,
  DEFAULT_LIMITS,
  type PlanInput,
  planLog,
  type Planned,
  planUnit,
} from "../../src/compaction/plan.ts";
import { EMPTY_MANIFEST, type Manifest } from "../../src/format/manifest-codec.ts";
import { asLevels } from "./arbitraries.ts";
import type { RunInfo } from "../../src/format/run-info.ts";

export const LIMITS: CompactionLimits = {
  ...DEFAULT_LIMITS,
  logBytesMax: 100,
  portionBytesMin: 1,
};
export const WITHOUT_END = { leftMs: Infinity, runBytesPerMs: undefined };

export function inputOf(
  manifest: Pick<Manifest, "runs" | "draining">,
  input: Partial<PlanInput> = {},
): PlanInput {
  return {
    manifest: { ...EMPTY_MANIFEST, generation: 1, ...manifest },
    limits: LIMITS,
    time: WITHOUT_END,
    units: [],
    isDrained: true,
    isDue: false,
    wantsFull: false,
    wantsPurge: false,
    overdueMs: 0,
    isAsked: () => false,
    ...input,
  };
}

/** Of a store of these levels, the oldest first, each of one run: without log or end, unless said. */
export function plan(
  runs: readonly RunInfo[],
  input: Partial<PlanInput> = {},
  draining: readonly number[] = [],
): Planned {
  const given = inputOf({ runs: asLevels(runs), draining }, input);
  if (given.units.length === 0 && !given.isDue) return planUnit(given);
  return { step: planLog(given), waiting: [] };
}

/** Runs of the levels that take part. */
export function runsTaken({ levels, taken }: CompactionPlan): RunInfo[] {
  return taken.flatMap((at) => levels[at]?.runs ?? []);
}
