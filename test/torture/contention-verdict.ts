/** What is wrong with what processes did that changed the same records. Pure, but for reading journals. */
import {
  callsOf,
  type GuardedCall,
  type GuardedSession,
  readGuardedJournal,
} from "../histories/guarded-journal.ts";
import type { Counter } from "../processes/contender.ts";

/** The lives of one contender. */
export interface Slot {
  readonly name: string;
  readonly journals: string[];
}

export interface CounterVerdict {
  readonly acked: number;
  readonly unknown: number;
  /** Increments that wrote nothing, and were called again. */
  readonly refused: number;
  readonly counted: number;
  readonly violations: readonly string[];
}

/** Of each slot and counter, what is counted is what was acknowledged, and at most the unknown beside it. */
export function judgeCounters(
  slots: readonly Slot[],
  ids: readonly string[],
  shown: readonly ReadonlyMap<string, unknown>[],
): CounterVerdict {
  const calls = new Map(
    slots.map(({ name, journals }) => [
      name,
      journals.flatMap((path) => callsOf(readGuardedJournal(path))),
    ]),
  );
  return judgeCounts(calls, ids, shown);
}

/** @param calls of each slot */
export function judgeCounts(
  calls: ReadonlyMap<string, readonly GuardedCall[]>,
  ids: readonly string[],
  shown: readonly ReadonlyMap<string, unknown>[],
): CounterVerdict {
  const violations = new Set<string>();
  const sum = { acked: 0, unknown: 0, refused: 0, counted: 0 };
  for (const id of ids) {
    const counters = shown.map((records) => (records.get(id) ?? { count: 0, by: {} }) as Counter);
    const [first] = counters;
    if (new Set(counters.map((counter) => JSON.stringify(counter))).size > 1) {
      violations.add(`${id}: readers differ`);
    }
    const by = first?.by ?? {};
    const total = Object.values(by).reduce((count, own) => count + own, 0);
    if (first?.count !== total) violations.add(`${id}: ${first?.count} of ${total} increments`);
    sum.counted += first?.count ?? 0;
    for (const [name, own] of calls) {
      const increments = own.filter(({ action }) => action?.kind === "update" && action.id === id);
      const acked = increments.filter(({ outcome }) => outcome === "done").length;
      const unknown = increments.filter(({ outcome }) => outcome === "unknown").length;
      sum.refused += increments.filter(({ outcome }) => outcome === "nothing").length;
      sum.acked += acked;
      sum.unknown += unknown;
      const counted = by[name] ?? 0;
      if (counted < acked || counted > acked + unknown) {
        const told = unknown === 0 ? "" : ` and perhaps ${unknown} more`;
        violations.add(`${id}: ${counted} increments of ${name}, which made ${acked}${told}`);
      }
    }
  }
  return { ...sum, violations: [...violations] };
}

/** Nobody deletes a name, so at most one call may have taken it. */
export function judgeNames(
  sessions: readonly GuardedSession[],
  names: readonly string[],
): string[] {
  const taken = sessions
    .flatMap(callsOf)
    .filter(({ outcome }) => outcome === "done")
    .flatMap(({ action }) =>
      action?.kind === "compare-and-set" && action.succeeded ? [action.id] : [],
    );
  return names.flatMap((name) => {
    const count = taken.filter((id) => id === name).length;
    return count > 1 ? [`${name} was taken ${count} times`] : [];
  });
}

/** @param options whether a run may outlive its lease, as of a process that was frozen or killed */
export function judgeOnce(
  sessions: readonly GuardedSession[],
  { maySurvive }: { readonly maySurvive: boolean },
): { readonly runs: number; readonly violations: readonly string[] } {
  const lines = sessions.flatMap((session) => session.lines);
  const ran = lines.filter((line) => line.kind === "ran");
  const returned = lines.filter((line) => line.kind === "once");
  const violations = [...new Set(returned.map(({ key }) => key))].flatMap((key) => {
    const runs = ran.filter((line) => line.key === key).map(({ tag }) => tag);
    const results = new Set(returned.filter((line) => line.key === key).map(({ tag }) => tag));
    const found: string[] = [];
    if (results.size > 1) found.push(`once ${key} returned ${[...results].join(" and ")}`);
    for (const result of results) {
      if (!runs.includes(result)) found.push(`once ${key} returned ${result}, which nobody ran`);
    }
    if (!maySurvive && runs.length > 1) found.push(`once ${key} ran ${runs.length} times`);
    return found;
  });
  return { runs: ran.length, violations };
}
