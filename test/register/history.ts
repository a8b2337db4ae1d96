/**
 * The recorded history of a store, as whoever called it and whoever stood at its medium saw it:
 * times are ms by one clock that all of them share, versions are those that were sent.
 */
export interface SentVersion {
  readonly clock: number;
  readonly agent: string;
  readonly w: string;
  /** Absent is 0: a plain write. */
  readonly rev?: number;
}

export interface SentWrite {
  readonly id: string;
  readonly version: SentVersion;
  readonly isDeletion: boolean;
  /** The store that made the call. */
  readonly session: string;
  /** The backend instance under it. */
  readonly medium: string;
  readonly invokedMs: number;
  /** When its caller heard of the outcome; Infinity: never. */
  readonly endedMs: number;
  /** "nothing": its caller was told that nothing was written. */
  readonly outcome: "acknowledged" | "unknown" | "nothing";
  /** The view that it was written on began then, or later. */
  readonly viewMs: number;
  /** When its bytes were handed to the medium first. */
  readonly sentMs: number;
  /** Estimate of the time less the time, when it was sent; undefined: it had none, or nobody asked. */
  readonly estimateErrorMs?: number | undefined;
  /** Of its flush: each takes a clock of its own. */
  readonly operations: number;
  /** Its version is the one of what it replaces, as of an archive. Default false. */
  readonly isGuarded?: boolean;
  /** Until it is acknowledged it may vanish again, and come back: appended behind a seal (FENCE). */
  readonly isRevocable?: boolean;
}

export interface ReadCall {
  readonly id: string;
  readonly session: string;
  readonly invokedMs: number;
  readonly returnedMs: number;
  /** The view that it shows began then, or later; -Infinity: it may be of any age. */
  readonly viewMs: number;
  /** More than one where equal content was written more than once; none: no such record. */
  readonly gave: readonly SentWrite[];
}

export interface History {
  readonly writes: readonly SentWrite[];
  readonly reads: readonly ReadCall[];
}

/** What the clocks of a world promise. */
export interface ClockPromise {
  /** How far an estimate may lie above true time, ms; Infinity: time does not order (no Q1, no Q8). */
  readonly aheadMs: number;
  /** How far it may lie below. */
  readonly behindMs: number;
  /** Some estimates may be further off, and may have dragged the store. */
  readonly hasLies: boolean;
  /** Clocks may stand still for longer than that: what is written then is never acknowledged (H6). */
  readonly mayStandStill?: boolean;
  /** Ms of the history begin then, in ms since 1970. */
  readonly epochMs: number;
}

/** Processes of one host share its wall clock; their histories are by its steady clock. */
export const ONE_HOST: ClockPromise = {
  aheadMs: 5,
  behindMs: 5,
  hasLies: false,
  epochMs: 0,
};

export function compareSent(a: SentVersion, b: SentVersion): number {
  if (a.clock !== b.clock) return a.clock - b.clock;
  if (a.agent !== b.agent) return a.agent < b.agent ? -1 : 1;
  if (a.w !== b.w) return a.w < b.w ? -1 : 1;
  return (a.rev ?? 0) - (b.rev ?? 0);
}
