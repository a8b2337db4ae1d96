/** Plans of one step, for the tests of planning. */
import {
  type CompactionLimits,
  DEFAULT_LIMITS,
  type PlanInput,
  type Planned,
  planStep,
} from "../../src/compaction/plan.ts";
import { EMPTY_MANIFEST } from "../../src/format/manifest-codec.ts";
import type { RunInfo } from "../../src/format/run-info.ts";

export const LIMITS: CompactionLimits = { ...DEFAULT_LIMITS, logBytesMax: 100, runsMax: 4 };
export const WITHOUT_END = { leftMs: Infinity, runBytesPerMs: undefined };

/** Of a store with these runs: without log, without an end, unless said otherwise. */
export function plan(runs: readonly RunInfo[], input: Partial<PlanInput> = {}): Planned {
  return planStep({
    manifest: { ...EMPTY_MANIFEST, generation: 1, runs },
    limits: LIMITS,
    time: WITHOUT_END,
    units: [],
    isDrained: true,
    leftOut: false,
    isDue: false,
    newest: undefined,
    wantsFull: false,
    wantsPurge: false,
    isAsked: () => false,
    ...input,
  });
}
