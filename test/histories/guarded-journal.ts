/**
 * What processes that write on conditions tell of their calls: each to a file of its own, line by line,
 * before and after, so that a kill leaves what was tried. Read together, the files are one history.
 */
import { openSync, readFileSync, writeSync } from "node:fs";
import type { Action, Operation } from "./history.ts";

/** Times are ms by the clock that all processes of a host share. */
export type GuardedLine =
  | { readonly kind: "called"; readonly n: number; readonly atMs: number }
  /** The call is in force as this, if it is; of several the last one. */
  | { readonly kind: "tried"; readonly n: number; readonly action: Action }
  | {
      readonly kind: "returned";
      readonly n: number;
      readonly atMs: number;
      /** "nothing": its caller was told that nothing was written. */
      readonly outcome: "done" | "nothing" | "unknown";
      /** Of what is done: what it came to. Default: what was tried last. */
      readonly action?: Action | undefined;
    }
  /** A run of the function of `once`, and what a call of it returned. */
  | { readonly kind: "ran"; readonly key: string; readonly tag: string }
  | { readonly kind: "once"; readonly key: string; readonly tag: string };

export interface GuardedSession {
  readonly session: string;
  readonly lines: readonly GuardedLine[];
}

export class GuardedJournal {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, "a");
  }

  append(line: GuardedLine): void {
    writeSync(this.#fd, `${JSON.stringify(line)}\n`);
  }
}

/** What a kill left of a last line is no line. */
export function readGuardedJournal(path: string): GuardedSession {
  const texts = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return { session: path, lines: texts.map((text): GuardedLine => JSON.parse(text)) };
}

/** A call, as its caller saw it. */
export interface GuardedCall {
  readonly calledMs: number;
  /** Undefined: it never returned, or with an unknown outcome. */
  readonly returnedMs: number | undefined;
  readonly outcome: "done" | "nothing" | "unknown";
  /** Undefined: nothing was tried. */
  readonly action: Action | undefined;
}

export function callsOf({ lines }: GuardedSession): GuardedCall[] {
  const calls = new Map<number, GuardedCall>();
  for (const line of lines) {
    if (line.kind === "ran" || line.kind === "once") continue;
    const { n } = line;
    if (line.kind === "called") {
      const { atMs: calledMs } = line;
      calls.set(n, { calledMs, returnedMs: undefined, outcome: "unknown", action: undefined });
      continue;
    }
    const call = calls.get(n);
    if (call === undefined) throw new Error(`call ${n} ended before it began`);
    if (line.kind === "tried") calls.set(n, { ...call, action: line.action });
    else {
      const { outcome, atMs, action = call.action } = line;
      const returnedMs = outcome === "unknown" ? undefined : atMs;
      calls.set(n, { ...call, outcome, returnedMs, action });
    }
  }
  return [...calls.values()];
}

/** A call that wrote nothing is none, and neither is one that ended before it tried anything. */
export function guardedOperations(sessions: readonly GuardedSession[]): Operation[] {
  const operations = sessions.flatMap((one) =>
    callsOf(one).flatMap(({ calledMs, returnedMs, outcome, action }): Operation[] => {
      if (outcome === "nothing" || action === undefined) return [];
      return [{ process: one.session, calledMs, returnedMs, action }];
    }),
  );
  return withVersions(operations);
}

/** A version that its writer was not told is the one that a reader of its value found. */
function withVersions(operations: readonly Operation[]): Operation[] {
  const versions = new Map<string, string>();
  for (const { action } of operations) {
    if (action.kind === "transaction" || action.value === undefined) continue;
    const version = "version" in action ? action.version : undefined;
    if (version !== undefined) versions.set(action.value, version);
  }
  return operations.map((operation) => {
    const { action } = operation;
    const isWrite = action.kind === "update" || action.kind === "compare-and-set";
    if (!isWrite || action.value === undefined || action.version !== undefined) return operation;
    return { ...operation, action: { ...action, version: versions.get(action.value) } };
  });
}
