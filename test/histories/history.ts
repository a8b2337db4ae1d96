/**
 * Histories of operations on records, as their callers saw them: when each was called, when it
 * returned, and what it was told. Times are ms by one clock that all processes share.
 */

/** Undefined: there is no such record. */
export type Value = string | undefined;

/** What a record held. */
export interface Found {
  readonly id: string;
  readonly value: Value;
}

/** What a record holds from then on. */
export interface Made {
  readonly id: string;
  readonly value: Value;
  /** What a condition names. Versions that are ordered are compared as texts. */
  readonly version?: string | undefined;
}

export type Action =
  | ({
      readonly kind: "read";
      /** What its reader was told of it, if anything. Not judged. */
      readonly version?: string | undefined;
    } & Found)
  /** A set or delete without a condition. */
  | ({
      readonly kind: "plain";
      /** It orders above what had returned before; for histories by version. Default -Infinity. */
      readonly sinceMs?: number | undefined;
    } & Made)
  /** A set or delete with a condition. */
  | ({
      readonly kind: "compare-and-set";
      /** Undefined: it was to be absent. */
      readonly expected: string | undefined;
      readonly succeeded: boolean;
    } & Made)
  | ({ readonly kind: "update"; readonly from: Value } & Made)
  | {
      readonly kind: "transaction";
      readonly reads: readonly Found[];
      readonly writes: readonly Made[];
    };

/** A call that was told that nothing was written is none, unless a condition refused it. */
export interface Operation {
  readonly process: string;
  readonly calledMs: number;
  /** Undefined: it never returned, or with an unknown outcome. It may take effect later, or never. */
  readonly returnedMs: number | undefined;
  readonly action: Action;
}

/**
 * How plain writes are ordered. "in time": as every other operation. "by version": their versions
 * order them with all writes of their record, so that one may be overwritten by what was there
 * before its call; across records they are not ordered. Every write needs a version then. One of
 * unknown outcome may be seen, and vanish again, until a write of a higher version.
 */
export type PlainRule = "in time" | "by version";

export function idsOf({ action }: Operation): string[] {
  if (action.kind !== "transaction") return [action.id];
  return [...new Set([...action.reads, ...action.writes].map(({ id }) => id))];
}

/** `p1 called 3, returned 5: reads x: "a"` */
export function describeOperation({ process, calledMs, returnedMs, action }: Operation): string {
  const returned = returnedMs === undefined ? "outcome unknown" : `returned ${at(returnedMs)}`;
  return `${process} called ${at(calledMs)}, ${returned}: ${describeAction(action)}`;
}

function describeAction(action: Action): string {
  switch (action.kind) {
    case "read":
      return `reads ${entry(action)}`;
    case "plain":
      return `writes ${entry(action)}`;
    case "compare-and-set": {
      const condition = action.expected === undefined ? "absent" : `at ${action.expected}`;
      const outcome = action.succeeded ? "succeeds" : "is refused";
      return `writes ${entry(action)} if ${condition}, and ${outcome}`;
    }
    case "update":
      return `updates ${action.id} from ${text(action.from)} to ${text(action.value)}`;
    case "transaction": {
      const [reads, writes] = [action.reads, action.writes].map((all) => all.map(entry).join(", "));
      return `in one transaction reads ${reads || "nothing"} and writes ${writes || "nothing"}`;
    }
  }
}

function entry({ id, value, version }: Made): string {
  return `${id}: ${text(value)}${version === undefined ? "" : ` at ${version}`}`;
}

function text(value: Value): string {
  return value === undefined ? "absent" : JSON.stringify(value);
}

function at(ms: number): string {
  return String(Number.isFinite(ms) ? Number(ms.toFixed(3)) : ms);
}
