/**
 * Checks a recorded history against what the store guarantees per record (PROTOCOL, "Time"). Pure.
 * The order of writes is known from their versions, so nothing is searched: O(n log n).
 */
import { type ClockPromise, compareSent, type History } from "./history.ts";
import type { ReadCall, SentVersion, SentWrite } from "./history.ts";
import { type Known, type Later, sweep } from "./sweep.ts";

export interface Finding {
  /** `Q1` to `Q8`, with the name that says what is wrong. */
  readonly rule: string;
  readonly message: string;
}

/** Above it a writer knows that the store is dragged, and looks (H5). */
const DRAGGED_MS = 1_000;
const CLOCKS_PER_MS = 1_024;
/** Ms since 1970, with a fraction, are good for a quarter of a microsecond; a clock is one. */
const ROUNDING_MS = 0.002;

/** A write that was acknowledged, or given to a reader, at a moment. */
interface Settled extends Known {
  readonly write: SentWrite;
  readonly isRead: boolean;
}

interface Judged<Call> extends Later {
  readonly call: Call;
}

/** All that is wrong with the history. */
export function checkRegister(history: History, promise: ClockPromise): Finding[] {
  return new Checker(history, promise).check();
}

class Checker {
  readonly #history: History;
  readonly #promise: ClockPromise;
  readonly #findings: Finding[] = [];
  /** Q6: at the moment from which a write counts. */
  readonly #settled: readonly Settled[];
  /** "Nothing written" is no write. */
  readonly #sent: readonly SentWrite[];

  constructor(history: History, promise: ClockPromise) {
    this.#history = history;
    this.#promise = promise;
    this.#sent = history.writes.filter(({ outcome }) => outcome !== "nothing");
    this.#settled = [...this.#acknowledged(), ...this.#givenToReaders()];
  }

  check(): Finding[] {
    this.#checkOrder();
    this.#checkWithinMedium();
    this.#checkRecent();
    this.#checkStrongReads();
    this.#checkSessions();
    for (const read of this.#history.reads) this.#checkGiven(read);
    this.#checkEstimates();
    return this.#findings;
  }

  #acknowledged(): Settled[] {
    return this.#sent
      .filter(({ outcome }) => outcome === "acknowledged")
      .map((write) => settledAt(write, write.endedMs, false));
  }

  /** What was never acknowledged may vanish again (FLOOR, FENCE), whoever has seen it. */
  #givenToReaders(): Settled[] {
    const { reads } = this.#history;
    return reads.flatMap(({ gave, returnedMs }) => {
      const write = lowest(gave);
      if (!isKept(write, returnedMs) || returnedMs >= write.endedMs) return [];
      return [settledAt(write, returnedMs, true)];
    });
  }

  /** Q1: across backends, as far as clocks reach. */
  #checkOrder(): void {
    const { aheadMs, behindMs, hasLies } = this.#promise;
    const guarded = this.#sent.filter(({ isGuarded }) => isGuarded === true);
    const timed = this.#sent.filter(
      (write) => write.isGuarded !== true && !this.#stoodStill(write),
    );
    this.#order("Q1 ORDER, guarded", this.#settled, guarded);
    if (!Number.isFinite(aheadMs)) return;
    const honest = hasLies
      ? this.#settled.filter(({ write }) => !this.#isAhead(write))
      : this.#settled;
    const late = honest.map((one) => {
      const skewMs = aheadMs + behindMs + one.write.operations / CLOCKS_PER_MS + ROUNDING_MS;
      return { ...one, atMs: one.atMs + skewMs };
    });
    this.#order(
      "Q1 ORDER",
      late,
      hasLies ? timed.filter((write) => !this.#isBehind(write)) : timed,
    );
    const knew = timed.filter((write) => knewOfDrag(write, this.#promise));
    this.#order("Q1 ORDER, dragged and known", this.#settled, knew);
  }

  /** Q1: stores over one backend need no clock. */
  #checkWithinMedium(): void {
    if (!Number.isFinite(this.#promise.aheadMs)) return;
    const keyOf = ({ medium, id }: SentWrite): string => `${medium} ${id}`;
    const known = this.#settled
      .filter(({ isRead, write }) => !isRead && write.isGuarded !== true)
      .map((one) => ({ ...one, key: keyOf(one.write) }));
    const timed = this.#sent.filter(({ isGuarded }) => isGuarded !== true);
    const later = timed.map((call) => ({ key: keyOf(call), atMs: call.invokedMs, call }));
    this.#expectAbove("Q1 ORDER, within one process", known, later);
  }

  #order(rule: string, known: readonly Settled[], writes: readonly SentWrite[]): void {
    const later = writes.map((call) => ({ key: call.id, atMs: call.invokedMs, call }));
    this.#expectAbove(rule, known, later);
  }

  /** Q2: above everything acknowledged before the view, in every world. */
  #checkRecent(): void {
    const timed = this.#sent.filter(({ isGuarded }) => isGuarded !== true);
    const later = timed.map((call) => ({ key: call.id, atMs: call.viewMs, call }));
    this.#expectAbove("Q2 RECENT", this.#settled, later);
  }

  #expectAbove(rule: string, known: readonly Settled[], later: readonly Judged<SentWrite>[]): void {
    sweep(known, later, ({ call }, { write, version, atMs }) => {
      const order = compareSent(call.version, version);
      if (order > 0 || (order === 0 && (call.isGuarded === true || call === write))) return;
      this.#find(
        rule,
        `${describe(call)} orders below ${describe(write)}, known since ${at(atMs)}`,
      );
    });
  }

  /** Q3, and Q4 where a reader knew it before its caller. */
  #checkStrongReads(): void {
    const { reads } = this.#history;
    const later = reads.map((call) => ({ key: call.id, atMs: call.viewMs, call }));
    const highestDeletion = this.#deletionsBefore(reads);
    sweep(this.#settled, later, ({ call }, { write, version, isRead }) => {
      const rule = isRead ? "Q4 BACKWARDS" : "Q3 STRONG";
      this.#expectRead(rule, call, highestDeletion.get(call), { write, version });
    });
  }

  /** Q4 and Q7: of one store, what it wrote and what it read only ascends. */
  #checkSessions(): void {
    const { reads } = this.#history;
    const keyOf = ({ session, id }: { session: string; id: string }): string => `${session} ${id}`;
    const own = this.#settled
      .filter(({ isRead }) => !isRead)
      .map((one) => ({ ...one, key: keyOf(one.write) }));
    const shown = reads.flatMap((read) => {
      const write = lowest(read.gave);
      if (!isKept(write, read.returnedMs)) return [];
      return [{ ...settledAt(write, read.returnedMs, true), key: keyOf(read) }];
    });
    const later = reads.map((call) => ({ key: keyOf(call), atMs: call.invokedMs, call }));
    const highestDeletion = this.#deletionsBefore(reads);
    sweep([...own, ...shown], later, ({ call }, { write, version }) => {
      this.#expectRead("Q4 BACKWARDS", call, highestDeletion.get(call), { write, version });
    });
    const timed = this.#sent.filter(({ isGuarded }) => isGuarded !== true);
    const ended = timed.map((write) => ({
      ...settledAt(write, write.endedMs, false),
      key: write.session,
    }));
    const next = timed.map((call) => ({ key: call.session, atMs: call.invokedMs, call }));
    this.#expectAbove("Q7 PROGRAM-ORDER", ended, next);
  }

  #expectRead(
    rule: string,
    read: ReadCall,
    deletion: SentVersion | undefined,
    { write, version }: Pick<Settled, "write" | "version">,
  ): void {
    const given = read.gave.toSorted(byVersion).at(-1);
    const found = given?.version ?? deletion;
    if (found !== undefined && compareSent(found, version) >= 0) return;
    const gave = given === undefined ? "nothing" : describe(given);
    this.#find(rule, `${describeRead(read)} gave ${gave}, expected at least ${describe(write)}`);
  }

  /** What absence may stand for: the highest deletion that was sent by then, purged or not. */
  #deletionsBefore(reads: readonly ReadCall[]): ReadonlyMap<ReadCall, SentVersion> {
    const absent = reads.filter(({ gave }) => gave.length === 0);
    const deletions = this.#sent.filter(({ isDeletion }) => isDeletion);
    const found = new Map<ReadCall, SentVersion>();
    sweep(
      deletions.map((write) => settledAt(write, write.sentMs, false)),
      absent.map((call) => ({ key: call.id, atMs: call.returnedMs, call })),
      ({ call }, { version }) => found.set(call, version),
    );
    return found;
  }

  /** Q5, and that nothing is read of what was not written. */
  #checkGiven(read: ReadCall): void {
    const [first] = read.gave;
    if (first === undefined) return;
    if (read.gave.every(({ outcome }) => outcome === "nothing")) {
      this.#find("Q5 NOTHING", `${describeRead(read)} gave ${describe(first)}`);
    }
    if (read.gave.every(({ invokedMs }) => invokedMs >= read.returnedMs)) {
      this.#find("Q5 FUTURE", `${describeRead(read)} gave ${describe(first)}`);
    }
  }

  /** Q8, of the estimates themselves, and of the clocks that were made of them. */
  #checkEstimates(): void {
    const { aheadMs, behindMs, hasLies } = this.#promise;
    if (hasLies || !Number.isFinite(aheadMs)) return;
    for (const write of this.#sent) {
      const { estimateErrorMs = 0 } = write;
      // A guarded version is that of what it replaces: no estimate has part in it.
      if (write.isGuarded === true || this.#stoodStill(write)) continue;
      if (estimateErrorMs <= aheadMs + ROUNDING_MS && estimateErrorMs >= -behindMs - ROUNDING_MS) {
        continue;
      }
      this.#find(
        "Q8 ESTIMATE",
        `${describe(write)}: the estimate was off by ${estimateErrorMs} ms`,
      );
    }
  }

  #clockMs({ version }: SentWrite): number {
    return version.clock / CLOCKS_PER_MS - this.#promise.epochMs;
  }

  /** The version lies further ahead than the clocks' promise lets it. */
  #isAhead(write: SentWrite): boolean {
    const { aheadMs } = this.#promise;
    const ownMs = write.operations / CLOCKS_PER_MS;
    return this.#clockMs(write) > write.sentMs + aheadMs + ownMs + ROUNDING_MS;
  }

  /** Both clocks of its process did, and its caller was told that the outcome is unknown. */
  #stoodStill(write: SentWrite): boolean {
    const { mayStandStill, behindMs } = this.#promise;
    if (mayStandStill !== true || write.outcome !== "unknown") return false;
    // Where nobody asked for the estimate, its clock tells: it is no lower than that.
    const { estimateErrorMs = this.#clockMs(write) - write.invokedMs } = write;
    return estimateErrorMs < -behindMs;
  }

  #isBehind({ estimateErrorMs }: SentWrite): boolean {
    return estimateErrorMs === undefined || estimateErrorMs < -this.#promise.behindMs - ROUNDING_MS;
  }

  #find(rule: string, message: string): void {
    this.#findings.push({ rule, message });
  }
}

/** H5: what it knew lay more than a second above its own estimate. */
export function knewOfDrag(
  { version, sentMs, estimateErrorMs, operations }: SentWrite,
  { epochMs }: Pick<ClockPromise, "epochMs">,
): boolean {
  if (estimateErrorMs === undefined) return false;
  const aboveMs = version.clock / CLOCKS_PER_MS - epochMs - (sentMs + estimateErrorMs);
  return aboveMs > DRAGGED_MS + operations / CLOCKS_PER_MS + ROUNDING_MS;
}

function settledAt(write: SentWrite, atMs: number, isRead: boolean): Settled {
  return { key: write.id, atMs, version: write.version, write, isRead };
}

/** Whether what a reader was given at a moment must stay. */
function isKept(write: SentWrite | undefined, atMs: number): write is SentWrite {
  if (write?.outcome !== "acknowledged") return false;
  return write.isRevocable !== true || write.endedMs <= atMs;
}

function byVersion(a: SentWrite, b: SentWrite): number {
  return compareSent(a.version, b.version);
}

function lowest(writes: readonly SentWrite[]): SentWrite | undefined {
  return writes.length < 2 ? writes[0] : writes.toSorted(byVersion)[0];
}

function describe({ id, version, session, invokedMs, endedMs, outcome }: SentWrite): string {
  const { clock, agent, w } = version;
  return `${id} at ${clock} ${agent} ${w} (${session}, called ${at(invokedMs)} to ${at(endedMs)}, ${outcome})`;
}

function describeRead({ id, session, invokedMs, returnedMs, viewMs }: ReadCall): string {
  return `a read of ${id} (${session}, ${at(invokedMs)} to ${at(returnedMs)}, view of ${at(viewMs)})`;
}

function at(ms: number): string {
  return Number.isFinite(ms) ? ms.toFixed(3) : String(ms);
}
