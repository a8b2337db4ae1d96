/**
 * What a process can derive of the medium's time without a request (PROTOCOL, "Time"). An estimate
 * orders writes and dates signatures; no safety rule rests on it.
 */
import type { Runtime } from "./runtime.ts";

type Clocks = Pick<Runtime, "steadyMs"> & (Pick<Runtime, "wallMs"> | Pick<Runtime, "nowMs">);

/** A runtime without `wallMs`, of an earlier version, counts whole ms. */
function wallMsOf(clocks: Clocks): number {
  return "wallMs" in clocks ? clocks.wallMs() : clocks.nowMs();
}

/** One moment by both clocks of the process, in ms with fractions. */
export interface Moment {
  readonly steadyMs: number;
  readonly wallMs: number;
}

/** How often both clocks are read in search of a moment without a pause in between. */
const READS_MAX = 3;
/** A process that does not get the processor for longer between two readings shows another moment. */
const READ_MS_MAX = 1;

export function momentOf(clocks: Clocks): Moment {
  let steadyMs = clocks.steadyMs();
  for (let reads = 1; ; reads++) {
    const wallMs = wallMsOf(clocks);
    const afterMs = clocks.steadyMs();
    if (afterMs - steadyMs <= READ_MS_MAX || reads === READS_MAX) return { steadyMs, wallMs };
    steadyMs = afterMs;
  }
}

/** By how much the wall clock has gained on the steady clock: that stood still, or one was set. */
function gainedMs(since: Moment, now: Moment): number {
  return now.wallMs - since.wallMs - (now.steadyMs - since.steadyMs);
}

/** By how much the clocks of a process ran apart: it was frozen, or one of them was set. */
export function apartMs(since: Moment, now: Moment): number {
  return Math.abs(gainedMs(since, now));
}

/**
 * How long ago a moment was: the larger of the ages by both clocks, since either may stand still
 * while the process is frozen. Infinity if the age is negative, because a clock was set back.
 */
export function ageMs(since: Moment, now: Moment): number {
  const steadyMs = now.steadyMs - since.steadyMs;
  const wallMs = now.wallMs - since.wallMs;
  return Math.min(steadyMs, wallMs) < 0 ? Infinity : Math.max(steadyMs, wallMs);
}

/** Whether a look that began then is at most this old. Undefined: there was none. */
export function isRecent(began: Moment | undefined, now: Moment, ageMsMax: number): boolean {
  return began !== undefined && ageMs(began, now) <= ageMsMax;
}

/** How a store learns the time that its clocks are made of. */
export interface MediumTime {
  /** ms since 1970, with a fraction; 0 when it is not known. */
  estimateMs(): number;
  /** The process was frozen, or its clock was set, since the medium answered last. */
  readonly isDoubtful: boolean;
  /** The medium's time is at most `steadyMs()` and this. */
  readonly offsetMsMax: number;
}

const YEAR_2020_MS = Date.UTC(2020, 0);
const YEAR_2100_MS = Date.UTC(2100, 0);
/** More than this between wall and steady clock is no drift. */
export const APART_MS_MAX = 50;
/** A `Date` is cut to whole seconds. */
const DATE_GRAIN_MS = 1_000;
/** By how much a steady clock may be wrong: 0.5 ms a second. */
const DRIFT = 0.5 / 1_000;

/** A bound of the medium's time minus the steady clock, as an answer told it of a moment. */
interface Bound {
  readonly offsetMs: number;
  readonly at: Moment;
}

/**
 * By how much a bound has become uncertain: the steady clock drifts, and where the wall clock gained
 * on it, it may have stood still, for less than anybody notices.
 */
function slackMs(since: Moment, now: Moment, gained: number): number {
  return Math.max(0, now.steadyMs - since.steadyMs) * DRIFT + Math.max(0, gained);
}

function leastAt({ offsetMs, at }: Bound, now: Moment): number {
  return offsetMs - slackMs(at, now, -gainedMs(at, now));
}

function mostAt({ offsetMs, at }: Bound, now: Moment): number {
  return offsetMs + slackMs(at, now, gainedMs(at, now));
}

/**
 * The time of a medium that dates its answers: an interval in which it lies, in terms of the steady
 * clock, narrowed by each answer. One for each backend instance.
 */
export class MediumClock implements MediumTime {
  readonly #clocks: Clocks;
  #lo: Bound | undefined;
  #hi: Bound | undefined;
  /** When the last answer that counted came. */
  #seen: Moment | undefined;
  /** There was an answer, though it need not have counted: the process was frozen meanwhile. */
  #hasAnswer = false;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
  }

  now(): Moment {
    return momentOf(this.#clocks);
  }

  /**
   * Takes in the `Date` of an answer, of whatever status. The medium's time was within the second
   * from `dateMs` on at some moment between the two others.
   */
  observe(dateMs: number, sent: Moment, got: Moment): void {
    if (!Number.isFinite(dateMs)) return;
    this.#hasAnswer = true;
    if (apartMs(sent, got) > APART_MS_MAX) return;
    const lo: Bound = { offsetMs: dateMs - got.steadyMs, at: got };
    const hi: Bound = { offsetMs: dateMs + DATE_GRAIN_MS - sent.steadyMs, at: sent };
    const seen = this.#seen;
    // What was known before a freeze would hide that time went on.
    const isContinued = seen !== undefined && apartMs(seen, got) <= APART_MS_MAX;
    const known = isContinued ? { lo: this.#lo ?? lo, hi: this.#hi ?? hi } : { lo, hi };
    const least = leastAt(known.lo, got) > leastAt(lo, got) ? known.lo : lo;
    const most = mostAt(known.hi, got) < mostAt(hi, got) ? known.hi : hi;
    // Answers that contradict each other: the newest alone.
    const agree = leastAt(least, got) <= mostAt(most, got);
    [this.#lo, this.#hi] = agree ? [least, most] : [lo, hi];
    if (seen === undefined || got.steadyMs > seen.steadyMs) this.#seen = got;
  }

  get isDoubtful(): boolean {
    const seen = this.#seen;
    return seen === undefined ? this.#hasAnswer : apartMs(seen, this.now()) > APART_MS_MAX;
  }

  get offsetMsMax(): number {
    const [hi, seen] = [this.#hi, this.#seen];
    return hi === undefined || seen === undefined ? Infinity : mostAt(hi, seen);
  }

  /** The wall clock where it may be right, else the middle of what is known; 0 before any answer. */
  estimateMs(): number {
    const [lo, hi, seen] = [this.#lo, this.#hi, this.#seen];
    if (lo === undefined || hi === undefined || seen === undefined) return 0;
    const now = this.now();
    // A wall clock that was set by more than anybody overlooks is not followed.
    const until = apartMs(seen, now) > APART_MS_MAX ? seen : now;
    const [least, most] = [leastAt(lo, until), mostAt(hi, until)];
    const offset = now.wallMs - now.steadyMs;
    const isRight = least <= offset && offset <= most;
    return plausible(now.steadyMs + (isRight ? offset : (least + most) / 2));
  }
}

/** The time of a medium that has none of its own: a directory, or memory. */
export class WallClock implements MediumTime {
  readonly isDoubtful = false;
  readonly offsetMsMax = Infinity;
  readonly #clocks: Clocks;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
  }

  estimateMs(): number {
    return plausible(wallMsOf(this.#clocks));
  }
}

/** A clock that was never set, or was set to nonsense, is none. */
function plausible(ms: number): number {
  return ms >= YEAR_2020_MS && ms <= YEAR_2100_MS ? ms : 0;
}
