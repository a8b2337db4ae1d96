/**
 * Whose turn it is in a pass: the log's or that of units, and of which ids (PROTOCOL, C4). It knows what
 * the pass has done, and reads nothing: the model of compaction goes by it, too.
 */
import type { Pace } from "../engine/pace.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import type { IdSpan } from "../format/run-info.ts";
import {
  ALL_IDS,
  hasTooManyLevels,
  mergedLevels,
  type PlanInput,
  type Planned,
  planUnit,
} from "./plan.ts";
import type { CompactionTask } from "./report.ts";
import { goesOn, spanOf } from "./tasks.ts";

/** Of the time left, in which a unit is merged; the rest is for its publication. */
export const UNIT_SHARE = 0.6;
/** Of the time left, in which levels that join the log must be merged. */
export const JOIN_SHARE = 0.4;
/** Of a pass, for units: then it lists the log anew. */
const UNITS_MS_MAX = 30_000;
/** How often in a row others may be faster before a pass begins anew. */
const OUTRUNS_MAX = 10;

export interface DoneStep {
  readonly isLog: boolean;
  /** Nothing was to be published, so it was no turn of the log. */
  readonly isUnchanged?: boolean;
  readonly writeMs: number;
}

export class Turns {
  readonly #task: CompactionTask | undefined;
  readonly #pace: Pace;
  readonly #planUnit: typeof planUnit;
  #isFirst = true;
  #isLogNext = true;
  #isLogRefused = false;
  #outruns = 0;
  /** So units leave to others what these merge, too. */
  #hasLostUnit = false;
  #unitsMs = 0;
  #lastLogMs = 0;
  #hasActed = false;
  /** Of a task, once there was a merge of levels: its ids, or none. */
  #span: { readonly ids: IdSpan | undefined } | undefined;

  constructor(task: CompactionTask | undefined, pace: Pace, plan = planUnit) {
    this.#task = task;
    this.#pace = pace;
    this.#planUnit = plan;
  }

  get hasActed(): boolean {
    return this.#hasActed;
  }

  /** Log that was planned did not hold over what others have published. */
  get isOutrun(): boolean {
    return this.#outruns > 0;
  }

  hasTime(leftMs: number): boolean {
    return this.#isFirst || this.#pace.hasTime(leftMs, this.#lastLogMs);
  }

  /** Log comes first; where there are too many levels, log and units take turns. */
  isLogs(manifest: Manifest, isDrained: boolean): boolean {
    if (this.#isFirst) return true;
    return !isDrained && (this.#isLogNext || !hasTooManyLevels(manifest));
  }

  /** @param isRefused levels must be merged before log is: a pass for log does that, too */
  logPlanned(isRefused: boolean): void {
    this.#isLogRefused = isRefused;
  }

  /** A unit of the ids that fall to this pass. */
  unit(given: PlanInput): Planned {
    const task = this.#task;
    const input = { ...given, isOutrun: this.#hasLostUnit };
    if (task === undefined) return this.#planUnit(input);
    if (task.kind === "log" && !this.#isLogRefused) return { step: undefined, waiting: [] };
    this.#span ??= { ids: spanOf(mergedLevels(input), task) };
    const { ids } = this.#span;
    const own: Planned =
      ids === undefined
        ? { step: undefined, waiting: [] }
        : this.#planUnit({ ...input, span: ids });
    if (own.step !== undefined || !goesOn(task)) return own;
    this.#span = { ids: ALL_IDS };
    return this.#planUnit(input);
  }

  /** What was written meanwhile is for the next pass, which the same invocation begins. */
  hasHadUnits(leftMs: number): boolean {
    return this.#task === undefined && leftMs !== Infinity && this.#unitsMs >= UNITS_MS_MAX;
  }

  /** @returns whether to try again */
  outrun(isLog: boolean): boolean {
    if (!isLog) this.#hasLostUnit = true;
    return ++this.#outruns <= OUTRUNS_MAX;
  }

  done({ isLog, isUnchanged = false, writeMs }: DoneStep): void {
    this.#hasActed = true;
    this.#isLogNext = !isLog || isUnchanged;
    this.#outruns = 0;
    if (isLog) this.#lastLogMs = writeMs;
    else if (!isUnchanged) this.#unitsMs += writeMs;
  }

  /** A step has ended, or was none. */
  next(): void {
    this.#isFirst = false;
  }
}
