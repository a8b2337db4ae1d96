/** Transactions of others that are not decided: who must know waits, then decides (PROTOCOL, X6, X7). */
import { WriteOutcomeUnknownError } from "../core/errors.ts";
import { compareText } from "../core/version.ts";
import type { Engine } from "../engine/engine.ts";
import { parseTxnPath } from "../format/paths.ts";
import { readTransaction } from "../log/claims.ts";
import type { OpenIntent, View } from "../view/view.ts";

/** How long others have for their transactions, by default. */
export const PATIENCE_MS = 1_000;

const POLL_MS_MIN = 10;
const POLL_MS_MAX = 200;

export interface Patience {
  /** The age of an intent at which it is decided. */
  readonly patienceMs: number;
  /** When the caller has no more time, by the steady clock. */
  readonly untilMs: number;
  /** The caller's own transaction: later ones are decided at once. */
  readonly own?: string | undefined;
}

/** RESOLVE: one that may still write one of the records. */
export function openIntentOn(
  { decisions }: Pick<View, "decisions">,
  ids: ReadonlySet<string>,
): OpenIntent | undefined {
  for (const one of decisions.undecided.values()) {
    if (one.claim.writes.some((id) => ids.has(id))) return one;
  }
  return undefined;
}

/**
 * Returns once the transaction is decided, by its author or here, or when there is no more time. A
 * new look shows what became of it.
 * @throws UnavailableError, and what a backend throws
 */
export async function waitUntilDecided(
  { backend, claims, runtime }: Pick<Engine, "backend" | "claims" | "runtime">,
  { claim: { txn }, ageMs }: OpenIntent,
  { patienceMs, untilMs, own }: Patience,
): Promise<void> {
  const isLater = own !== undefined && isEarlier(own, txn);
  const dueMs = runtime.steadyMs() + (isLater ? 0 : Math.max(0, patienceMs - ageMs));
  for (let pollMs = POLL_MS_MIN; ; pollMs = Math.min(POLL_MS_MAX, 2 * pollMs)) {
    const nowMs = runtime.steadyMs();
    if (nowMs >= dueMs) break;
    if (nowMs >= untilMs) return;
    await runtime.sleep(Math.min(pollMs, dueMs - nowMs, untilMs - nowMs));
    const read = await readTransaction(backend, txn);
    if (read.status !== "absent") return;
  }
  await claims.abort(txn, runtime.randomHex(16)).catch((error: unknown) => {
    if (!(error instanceof WriteOutcomeUnknownError)) throw error;
  });
}

/** By their names: of two transactions that meet, the one with the lower name goes first. */
function isEarlier(own: string, other: string): boolean {
  const [a, b] = [parseTxnPath(own), parseTxnPath(other)];
  if (a === undefined || b === undefined) return false;
  return a.t !== b.t ? a.t < b.t : compareText(a.rand, b.rand) < 0;
}
