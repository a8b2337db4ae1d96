/** What a pass begins with, and what it has planned, with the log that was read for it. */
import type { LoadedManifest } from "../view/manifest-store.ts";
import type { KnownLists } from "./known-lists.ts";
import type { LogCursor } from "./log-cursor.ts";
import { type MergedLog, NO_LOG } from "./merge-log.ts";
import type { StepInput } from "./merge-step.ts";

/** What every step of a pass is planned by. */
export interface Begun {
  readonly cursor: LogCursor;
  /** F: what a purge raises the floor to. */
  readonly floor: number;
  /** Whether it may rise by now: all log up to it is merged. */
  readonly mayRaise: () => boolean;
  /** What they hold, the cursor leaves out. */
  readonly known: KnownLists;
}

/** A portion of the log, and how long it took to read it. */
export interface Portion {
  readonly merged: MergedLog;
  readonly readMs: number;
}

export const NO_PORTION: Portion = { merged: NO_LOG, readMs: 0 };

/** What is to be merged. */
export interface PlannedStep extends Portion, Pick<StepInput, "plan" | "claims" | "raises"> {}

/** What becomes of the turn of the log, by the manifest as it was when the log had been read. */
export interface LogTurn {
  readonly loaded: LoadedManifest;
  /** Undefined: there is neither log that may be published nor anything else that is as urgent. */
  readonly step: PlannedStep | undefined;
}
