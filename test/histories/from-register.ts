/** What the register of plain calls recorded, as operations. */
import {
  type ClockPromise,
  compareSent,
  type History,
  type SentVersion,
  type SentWrite,
} from "../register/history.ts";
import { checkRecords, type Verdict } from "./checker.ts";
import type { Operation } from "./history.ts";

const CLOCK_DIGITS = 16;
const REVISION_DIGITS = 8;
const CLOCKS_PER_MS = 1_024;

/** Ordered as versions are. */
export function versionText({ clock, agent, w, rev = 0 }: SentVersion): string {
  // What an archive leaves is half a revision above what it archived.
  const halves = String(rev * 2).padStart(REVISION_DIGITS, "0");
  return [String(clock).padStart(CLOCK_DIGITS, "0"), agent, w, halves].join("\0");
}

/** Whether each record is linearizable, as far as plain writes are. */
export function judgePlain(history: History, promise?: ClockPromise): Verdict {
  return checkRecords(operationsOf(history, promise), { plain: "by version" });
}

/**
 * For `plain: "by version"`. What a reader was given before its writer was told of it, and may vanish
 * again, is no operation.
 * @param promise what clocks promise: undefined or with lies, a write orders above its view alone
 */
export function operationsOf(history: History, promise?: ClockPromise): Operation[] {
  const values = valuesOf(history);
  const skewMs = skewOf(history, promise);
  const writes = history.writes.filter(({ outcome }) => outcome !== "nothing");
  const reads = history.reads.filter(
    ({ gave, returnedMs }) =>
      gave.length === 0 ||
      gave.some((write) => !(write.isRevocable === true && write.endedMs > returnedMs)),
  );
  return [
    ...writes.map((write): Operation => {
      const { id, isDeletion, session, invokedMs, endedMs, outcome, viewMs } = write;
      const value = isDeletion ? undefined : values.get(write);
      // A guarded write sees what was acknowledged before its call, whatever the clocks show.
      const isGuarded = (write.version.rev ?? 0) >= 1;
      const sinceMs = isGuarded ? invokedMs : Math.max(viewMs, invokedMs - skewMs);
      const action = {
        kind: "plain",
        id,
        value,
        version: versionText(write.version),
        sinceMs,
      } as const;
      const returnedMs = outcome === "acknowledged" ? endedMs : undefined;
      return { process: session, calledMs: invokedMs, returnedMs, action };
    }),
    ...reads.map(({ id, session, viewMs, returnedMs, gave: [first] }): Operation => {
      const value = first === undefined ? undefined : values.get(first);
      return {
        process: session,
        calledMs: viewMs,
        returnedMs,
        action: { kind: "read", id, value },
      };
    }),
  ];
}

/** Equal content is one value, by whichever of the writes that a reader may have been given. */
function valuesOf({ writes, reads }: History): ReadonlyMap<SentWrite, string> {
  const values = new Map(writes.map((write, at) => [write, `write ${at + 1}`]));
  // What was given later may be one of more.
  for (const { gave } of reads.toSorted((a, b) => b.gave.length - a.gave.length)) {
    const [first, ...others] = gave.toSorted((a, b) => compareSent(a.version, b.version));
    const value = first && values.get(first);
    if (value !== undefined) for (const other of others) values.set(other, value);
  }
  return values;
}

function skewOf({ writes }: History, promise: ClockPromise | undefined): number {
  if (promise === undefined || promise.hasLies) return Infinity;
  const most = writes.reduce((sum, { operations }) => Math.max(sum, operations), 0);
  return promise.aheadMs + promise.behindMs + (most + 1) / CLOCKS_PER_MS;
}
