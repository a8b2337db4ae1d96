/**
 * What clocks and dates are worth in a world, and what is promised of estimates there. In one half
 * of the seeds all is as the weather drew it; each of the others has one kind of trouble.
 */
import type { ClockPromise } from "../register/history.ts";
import type { Network } from "./network.ts";
import { hashText, type Prng } from "./prng.ts";
import type { DiskFaults } from "./sim-directory.ts";
import { EPOCH_MS, type Hazards } from "./sim-process.ts";
import { ATTEMPT_TIMEOUT_MS } from "./sim-store.ts";

/** Each is counted under its name. */
export type ClockKind =
  | "anyClocks"
  /** Steady clocks are not: they drift. */
  | "rightClocks"
  /** Half of the wall clocks are wrong by minutes. */
  | "wrongWalls"
  /** A freeze stops the steady clock. */
  | "suspended"
  /** A freeze stops both clocks. */
  | "paused"
  /** Two front ends whose dates are apart. */
  | "frontEnds"
  /** Dates an hour ahead for two seconds. */
  | "hourAhead"
  /** Some wall clocks are in 2099 for two seconds. */
  | "year2099"
  /** Wall clocks are set back by 5 s. */
  | "steppedBack"
  /** Half of the wall clocks were never set. */
  | "year1970"
  /** Answers within 20 µs. */
  | "fastMedium"
  /** Half of the programs count without a look at the time. */
  | "oldPrograms";

type Promised = Omit<ClockPromise, "epochMs">;

export interface Clocks {
  readonly kind: ClockKind;
  readonly promise: Promised;
  /** Told besides its hazards. */
  readonly wallErrorMs: (process: string, nowMs: number) => number;
  readonly hasSteps: boolean;
  /** How fast its steady clock goes. */
  readonly steadyRate: (process: string) => number;
  /** How wrong the date of an answer is that a client makes its estimate of. */
  readonly dateErrorMs: (nowMs: number) => number;
  readonly isOld: (process: string) => boolean;
}

interface Drawn {
  readonly network: Network;
  readonly hazards: Hazards;
  readonly disk: DiskFaults | undefined;
}

const ANY_SHARE = 0.5;
const KINDS = {
  bucket: [
    "rightClocks",
    "wrongWalls",
    "suspended",
    "suspended",
    "paused",
    "paused",
    "frontEnds",
    "hourAhead",
    "year1970",
    "fastMedium",
    "oldPrograms",
  ],
  directory: [
    "rightClocks",
    "wrongWalls",
    "year2099",
    "steppedBack",
    "year1970",
    "fastMedium",
    "oldPrograms",
  ],
} as const;

const EXACT: Promised = { aheadMs: 0, behindMs: 0, hasLies: false };
/** Estimates may be off by anything; those that are not must still keep the order. */
const LYING: Promised = { ...EXACT, hasLies: true };
/** A Date is of whole seconds. */
const GRAIN_MS = 1_000;
/** What an interval has become wider by without an answer. */
const DRIFT_MS = 100;
/** What a process may stand still for, and not be noticed (H6). */
const PAUSE_MS = 10_000;
/** Share of the awaits at which a process freezes, where that is its trouble. */
const FREEZES = 0.03;
/** Share of those that nobody notices. */
const BRIEF = 0.3;
const STEP_BACK_MS = 5_000;
/** Fastest to slowest: up to 0.4 ms a second off. */
const RATES = 0.8 / 1_000;
const HOUR_MS = 3_600_000;
const LIE_MS = 2_000;
const LIES_EVERY_MS = 20_000;
const FAST_MS = 0.02;

export const UNTOUCHED: Clocks = {
  kind: "anyClocks",
  promise: LYING,
  wallErrorMs: () => 0,
  hasSteps: false,
  steadyRate: () => 1,
  dateErrorMs: () => 0,
  isOld: () => false,
};

/** What a kind makes of the clocks, and of what was drawn. */
export function drawClocks(dice: Prng, drawn: Drawn, stormMs: number): Drawn & { clocks: Clocks } {
  if (dice.chance(ANY_SHARE)) return { ...drawn, clocks: UNTOUCHED };
  const isBucket = drawn.disk === undefined;
  const kind = dice.pick(isBucket ? KINDS.bucket : KINDS.directory);
  const salt = dice.below(2 ** 32);
  const own = (process: string, what: string): number =>
    hashText(process, hashText(what, salt)) / 2 ** 32;
  const calm = { ...drawn.hazards, clockJump: 0, clockSkewMsMax: 0, steadyStops: 0, bothStop: 0 };
  const right = { ...drawn, hazards: calm };
  const clocks = { ...UNTOUCHED, kind, promise: EXACT };
  // A request under way while its process is frozen tells little about the time.
  const awake = {
    ...right,
    hazards: { ...calm, freeze: 0 },
    network: withoutFreezes(drawn.network),
  };
  const widthMs = GRAIN_MS + longestTripMs(awake.network) + DRIFT_MS;
  const within: Promised = isBucket
    ? { ...EXACT, aheadMs: widthMs / 2, behindMs: widthMs / 2 }
    : LYING;
  switch (kind) {
    case "rightClocks": {
      const steadyRate = (process: string): number => 1 + (own(process, "rate") - 0.5) * RATES;
      return { ...right, clocks: { ...clocks, steadyRate } };
    }
    case "wrongWalls": {
      const wallErrorMs = (process: string): number => {
        if (own(process, "right") < 0.5) return 0;
        const sign = own(process, "sign") < 0.5 ? -1 : 1;
        return sign * (widthMs + own(process, "wrong") * 600_000);
      };
      return { ...awake, clocks: { ...clocks, promise: within, wallErrorMs } };
    }
    case "suspended": {
      const hazards = { ...freezing(calm, 8_000), steadyStops: 1, briefFreezes: BRIEF };
      return { ...right, hazards, clocks };
    }
    case "paused": {
      // Time went on while its clocks stood still: a bound from below stays true, and the estimate
      // is the wall clock, which is behind, or the middle. That lies behind what an acknowledged
      // write's answer says (H6: PAUSE_MS above the upper bound), dated to a second, within a trip.
      const behindMs = PAUSE_MS + 2 * widthMs;
      const promise = { ...EXACT, aheadMs: widthMs / 2, behindMs, mayStandStill: true };
      return {
        ...right,
        hazards: { ...freezing(calm, 60_000), bothStop: 1 },
        clocks: { ...clocks, promise },
      };
    }
    case "frontEnds": {
      const apartMs = dice.pick([300, 5_000]);
      const promise = { ...EXACT, aheadMs: apartMs + widthMs, behindMs: widthMs };
      const dateErrorMs = (): number => (dice.chance(0.5) ? apartMs : 0);
      return { ...awake, clocks: { ...clocks, promise, dateErrorMs } };
    }
    case "hourAhead": {
      const dateErrorMs = (nowMs: number): number => (nowMs % LIES_EVERY_MS < LIE_MS ? HOUR_MS : 0);
      return { ...right, clocks: { ...clocks, promise: LYING, dateErrorMs } };
    }
    case "year2099": {
      const farMs = Date.UTC(2099, 0) - EPOCH_MS;
      const wallErrorMs = (process: string, nowMs: number): number => {
        const sinceMs = nowMs - own(process, "far") * 2 * stormMs;
        return sinceMs >= 0 && sinceMs < LIE_MS ? farMs : 0;
      };
      return { ...right, clocks: { ...clocks, promise: LYING, wallErrorMs, hasSteps: true } };
    }
    case "steppedBack": {
      const wallErrorMs = (process: string, nowMs: number): number =>
        nowMs < own(process, "step") * stormMs ? 0 : -STEP_BACK_MS;
      const promise = { ...EXACT, behindMs: STEP_BACK_MS };
      return { ...right, clocks: { ...clocks, promise, wallErrorMs, hasSteps: true } };
    }
    case "year1970": {
      const wallErrorMs = (process: string): number => (own(process, "set") < 0.5 ? 0 : -EPOCH_MS);
      return { ...awake, clocks: { ...clocks, promise: within, wallErrorMs } };
    }
    case "fastMedium": {
      const network = { ...right.network, latencyMsMax: FAST_MS };
      const disk = right.disk && { ...right.disk, latencyMsMax: FAST_MS };
      return { ...right, network, disk, clocks };
    }
    case "oldPrograms": {
      const isOld = (process: string): boolean => own(process, "old") < 0.5;
      return { ...right, clocks: { ...clocks, promise: LYING, isOld } };
    }
  }
}

function withoutFreezes(network: Network): Network {
  return { ...network, frozenWrite: 0, frozenLook: 0 };
}

/** Short enough, for a part of them, to end before views are too old. */
function freezing(hazards: Hazards, freezeMsMax: number): Hazards {
  return { ...hazards, freeze: FREEZES, freezeMsMax };
}

/** What comes later is not waited for. */
function longestTripMs({ latencyMsMax, slow, slowMsMax, heldBackMs }: Network): number {
  const legMs = Math.max(latencyMsMax, slow > 0 ? slowMsMax : 0) + heldBackMs;
  // Whoever waits for it gives up late, too.
  return Math.min(2 * legMs, ATTEMPT_TIMEOUT_MS + heldBackMs);
}
