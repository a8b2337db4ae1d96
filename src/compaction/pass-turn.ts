/** What the steps of a pass hand on from one to the next. */
import type { LoadedManifest } from "../view/manifest-store.ts";
import type { KnownLists } from "./known-lists.ts";
import type { LogCursor } from "./log-cursor.ts";
import type { StepInput } from "./merge-step.ts";

/** What every step of a pass is planned by. */
export interface Begun {
  readonly cursor: LogCursor;
  /** F: what a purge raises the floor to. */
  readonly floor: number;
  /** Whether it may rise by now: all log up to it is merged. */
  readonly mayRaise: () => boolean;
  /** Lists of merged segments: the cursor leaves out what they name. */
  readonly known: KnownLists;
}

/** What is to be merged, and how long it took to read the log of it. */
export interface PlannedStep extends Pick<StepInput, "plan" | "merged" | "claims" | "raises"> {
  readonly readMs: number;
}

/** Where a pass stands before a step. */
export interface Turn {
  readonly loaded: LoadedManifest;
  readonly isLogNext: boolean;
  readonly isFirst: boolean;
}
