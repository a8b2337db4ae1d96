/**
 * What is reported to a follower of one record: its new operations and, where the log does not have them
 * any more, the net change. Applied in order to what the follower had, this yields what the store
 * holds now. Pure.
 */
import type { Operation } from "../core/operation.ts";
import { compareVersions, keyOf, type ResidentEntry, type Version } from "../core/version.ts";

/** An operation of a segment that was not in view before, migrated to the store's schema. */
export interface NewOperation {
  readonly version: Version;
  /** Set by an undo. */
  readonly undoes: Version | undefined;
  readonly operation: Operation<unknown>;
}

/** One of the operations that are reported. */
export interface Change {
  readonly version: Version;
  readonly operation: Operation<unknown>;
}

/** A record that may have changed. `undefined` is "there was never one". */
export interface ResidentChange {
  readonly id: string;
  /** What the follower had. */
  readonly before: ResidentEntry | undefined;
  /** What the store holds. */
  readonly after: ResidentEntry | undefined;
  /** In version order. */
  readonly operations: readonly NewOperation[];
  /** `ts` of a net change. */
  readonly ts: string;
}

/** A purge leaves nothing of a deleted record, not even a version: it is reported before all others. */
const NO_VERSION: Version = { clock: 0, agent: "", writerNonce: "" };

export function changesFor({ id, before, after, operations, ts }: ResidentChange): Change[] {
  // What had lost already when it came into view changes nothing, now or ever.
  const visible = operations.filter(
    ({ version }) => isAbove(version, before) && !isAbove(version, after),
  );
  const changes = withoutPairs(visible, (undoes) => isAbove(undoes, before));
  const last = changes.at(-1);
  const reached = last === undefined ? before?.value : last.operation.data;
  if (sameRecord(reached, after?.value)) return changes;
  // An undo can restore an older record than the one it follows here: then it must be reported.
  const winner = visible.at(-1);
  if (winner !== undefined && winner !== last && sameVersion(winner.version, after?.version)) {
    // The tombstone of an archive has the version of what it stands for.
    if (sameRecord(winner.operation.data, after?.value)) return [...changes, winner];
  }
  return [...changes, netChange(id, after, ts, { value: reached })];
}

/**
 * For a record that was not resident it is unknown what the follower had: its new operations up to
 * the winner, and the winner itself where they do not lead there.
 * @param winner what the store holds
 */
export function changesForUnknown({
  id,
  after: winner,
  operations,
  ts,
}: Omit<ResidentChange, "before">): Change[] {
  const visible = operations.filter(({ version }) => !isAbove(version, winner));
  const present = new Set(visible.map(({ version }) => keyOf(version)));
  const changes = withoutPairs(visible, (undoes) => present.has(keyOf(undoes)));
  const [last, newest] = [changes.at(-1), visible.at(-1)];
  if (last !== undefined && sameRecord(last.operation.data, winner?.value)) return changes;
  // An undo whose target was not reported: what it restored need not be what the follower had.
  if (newest !== undefined && newest !== last && sameVersion(newest.version, winner?.version)) {
    if (sameRecord(newest.operation.data, winner?.value)) return [...changes, newest];
  }
  return [...changes, netChange(id, winner, ts)];
}

/** Neither an undo nor what it undoes, when both are new. */
function withoutPairs(
  operations: readonly NewOperation[],
  isNew: (undone: Version) => boolean,
): NewOperation[] {
  const hidden = new Set<string>();
  for (const { version, undoes } of operations) {
    if (undoes === undefined || !isNew(undoes)) continue;
    hidden.add(keyOf(version)).add(keyOf(undoes));
  }
  return operations.filter(({ version }) => !hidden.has(keyOf(version)));
}

/** @param before undefined if it is unknown: then the operation carries no `prev` */
function netChange(
  id: string,
  after: ResidentEntry | undefined,
  ts: string,
  before?: { readonly value: unknown },
): Change {
  const { version = NO_VERSION, value } = after ?? {};
  const { agent, clock } = version;
  const operation: Operation<unknown> = {
    ts,
    op: value === undefined ? "delete" : "set",
    id,
    ...(value === undefined ? {} : { data: value }),
    ...(before === undefined ? {} : { prev: before.value ?? null }),
    ...(agent === "" ? {} : { agent, clock }),
  };
  return { version, operation };
}

function isAbove(version: Version, entry: ResidentEntry | undefined): boolean {
  return entry === undefined || compareVersions(version, entry.version) > 0;
}

function sameVersion(a: Version, b: Version | undefined): boolean {
  return b !== undefined && compareVersions(a, b) === 0;
}

function sameRecord(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
