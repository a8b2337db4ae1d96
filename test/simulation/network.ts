/** What happens to one request between a process and the object store: drawn, never decided. */
import type { Prng } from "./prng.ts";

/** Shares are probabilities per request, times are upper bounds in ms. */
export interface Network {
  readonly latencyMsMax: number;
  /** Either way of a request may take this long instead. */
  readonly slow: number;
  readonly slowMsMax: number;
  /** Answered 503: without effect. */
  readonly refused: number;
  readonly lost: number;
  readonly answerLost: number;
  /** A second delivery: by a proxy at about the same time, or much later. */
  readonly duplicated: number;
  readonly duplicateMsMax: number;
  /** Takes effect long after the client has given up. */
  readonly stuck: number;
  readonly stuckMsMax: number;
  /** The process freezes with a write under way, which goes on. */
  readonly frozenWrite: number;
  readonly frozenMsMax: number;
  /** The process freezes with a look under way: what it has asked for is answered, the rest waits. */
  readonly frozenLook: number;
  readonly frozenLookMsMax: number;
  /** A page of a listing is asked for late: it waits for a connection, or is repeated. */
  readonly stalledList: number;
  readonly stalledListMsMax: number;
  /** A repeated write answers "conflict" without reading back, as the contract allows. */
  readonly plainConflict: number;
  /** Whatever is under way may be held back for so long besides (priorities.ts). */
  readonly heldBackMs: number;
}

export const CALM_NETWORK: Network = {
  latencyMsMax: 20,
  slow: 0,
  slowMsMax: 0,
  refused: 0,
  lost: 0,
  answerLost: 0,
  duplicated: 0,
  duplicateMsMax: 0,
  stuck: 0,
  stuckMsMax: 0,
  frozenWrite: 0,
  frozenMsMax: 0,
  frozenLook: 0,
  frozenLookMsMax: 0,
  stalledList: 0,
  stalledListMsMax: 0,
  plainConflict: 0,
  heldBackMs: 0,
};

export interface Fate {
  readonly isRefused: boolean;
  /** Undefined: it never arrives. */
  readonly outMs: number | undefined;
  /** Undefined: the answer is lost. */
  readonly backMs: number | undefined;
  /** When a second delivery takes effect. */
  readonly duplicateMs: number | undefined;
  readonly freezeMs: number | undefined;
}

/** Whole ms, but of a medium that answers within one. */
export function drawLatency(prng: Prng, latencyMsMax: number): number {
  return latencyMsMax < 1 ? prng.random() * latencyMsMax : prng.between(1, latencyMsMax);
}

export function drawFate(network: Network, prng: Prng, isWrite: boolean): Fate {
  const leg = (): number =>
    prng.chance(network.slow)
      ? prng.between(1, network.slowMsMax)
      : drawLatency(prng, network.latencyMsMax);
  const fate: Fate = {
    isRefused: prng.chance(network.refused),
    outMs: prng.chance(network.lost) ? undefined : leg(),
    backMs: prng.chance(network.answerLost) ? undefined : leg(),
    duplicateMs: undefined,
    freezeMs: undefined,
  };
  if (!isWrite || fate.isRefused) return fate;
  if (prng.chance(network.frozenWrite)) {
    const freezeMs = prng.between(Math.ceil(network.frozenMsMax / 3), network.frozenMsMax);
    const outMs = prng.chance(0.5) ? prng.between(1, freezeMs) : freezeMs - 1;
    return { ...fate, freezeMs, outMs, backMs: leg() };
  }
  if (!prng.chance(network.duplicated)) return fate;
  return {
    ...fate,
    duplicateMs: prng.chance(0.15) ? leg() : prng.between(100, network.duplicateMsMax),
  };
}
