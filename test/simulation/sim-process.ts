/**
 * A process: the `Runtime` of everything in it, with a wall clock of its own that may be wrong and
 * may jump, and a steady clock; each may stand still while the process is frozen. It may freeze (answers and timers wait for the thaw, what it has sent goes on) and die
 * (nothing in it ever runs again).
 */
import { APART_MS_MAX } from "../../src/core/medium-clock.ts";
import type { Runtime } from "../../src/core/runtime.ts";
import type { SchemaVersion } from "./form.ts";
import type { Kernel, Timer } from "./kernel.ts";
import type { Prng } from "./prng.ts";

/** Wall clocks start about here, 2026-01-01. */
export const EPOCH_MS = 1_767_225_600_000;

export type Hazard = "deaths" | "freezes" | "clockJumps" | "stoppedClocks";

/** How likely a process stops at each of its awaits. */
export interface Hazards {
  readonly death: number;
  readonly freeze: number;
  readonly freezeMsMax: number;
  /** Share of freezes that are too short for a process to doubt its clocks. Default 0. */
  readonly briefFreezes?: number;
  readonly clockJump: number;
  /** How far a wall clock may be off. */
  readonly clockSkewMsMax: number;
  /** Shares of freezes in which only the steady clock stands still (suspended), or both (a snapshot). */
  readonly steadyStops: number;
  readonly bothStop: number;
}

export function drawFreezeMs(prng: Prng, { freezeMsMax, briefFreezes = 0 }: Hazards): number {
  const isBrief = briefFreezes > 0 && prng.chance(briefFreezes);
  return isBrief ? prng.between(1, APART_MS_MAX) : prng.between(500, freezeMsMax);
}

/** A time for which clocks of a process stand still. */
interface Stop {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly clocks: "steady" | "both";
}

export interface ProcessOptions {
  readonly name: string;
  readonly kernel: Kernel;
  readonly prng: Prng;
  readonly hazards: Hazards;
  /** Of the program that runs in it. Default 1. */
  readonly schema?: SchemaVersion | undefined;
  /** First digit of random hex numbers: few of them crowd the log into few shards. */
  readonly digits: readonly string[];
  /** What the first random number is, for a cloned process. */
  readonly firstHex?: string | undefined;
  readonly count?: ((what: Hazard) => void) | undefined;
  /** How wrong its wall clock is besides. Default: right. */
  readonly wallErrorMs?: ((nowMs: number) => number) | undefined;
  /** How fast its steady clock goes. Default 1. */
  readonly steadyRate?: number | undefined;
  /** It is set now and then by `wallErrorMs`. */
  readonly hasSteps?: boolean | undefined;
  /** Its program knows no time: it counts on from what it sees. */
  readonly isOld?: boolean | undefined;
  /** It starts the others, and waits for nobody. */
  readonly isPlatform?: boolean | undefined;
  /** A clock that stands still, so that clones name their streams alike. */
  readonly isClockStopped?: boolean | undefined;
}

export class SimProcess implements Runtime {
  readonly name: string;
  readonly prng: Prng;
  readonly kernel: Kernel;
  readonly schema: SchemaVersion;
  readonly #options: ProcessOptions;
  #hazards: Hazards;
  #firstHex: string | undefined;
  #isAlive = true;
  #frozenUntilMs = 0;
  #stops: Stop[] = [];
  /** What comes at the thaw. */
  readonly #waiting = new Map<() => void, Timer | undefined>();
  #clockOffsetMs: number;
  /** When its clock jumped last. */
  #jumpedMs = Number.NEGATIVE_INFINITY;

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.name = options.name;
    this.prng = options.prng;
    this.kernel = options.kernel;
    this.schema = options.schema ?? 1;
    this.#hazards = options.hazards;
    this.#firstHex = options.firstHex;
    this.#clockOffsetMs = this.#drawOffset();
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isFrozen(): boolean {
    return this.kernel.nowMs < this.#frozenUntilMs;
  }

  /** Ends all hazards, thaws. */
  calm(hazards: Hazards): void {
    this.#hazards = hazards;
    const { nowMs } = this.kernel;
    this.#frozenUntilMs = Math.min(this.#frozenUntilMs, nowMs);
    this.#stops = this.#stops
      .filter(({ fromMs }) => fromMs < nowMs)
      .map((stop) => ({ ...stop, untilMs: Math.min(stop.untilMs, nowMs) }));
    // Its clocks go on: a request that waited on would last longer than any attempt may.
    for (const [waiting, timer] of this.#waiting) this.kernel.after(0, waiting, this.#event(timer));
  }

  kill(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.kernel.trace(`${this.name} dies`);
  }

  freeze(ms: number): void {
    const { nowMs } = this.kernel;
    const fromMs = Math.max(this.#frozenUntilMs, nowMs);
    const untilMs = nowMs + ms;
    this.kernel.trace(`${this.name} freezes for ${ms}`);
    if (untilMs <= fromMs) return;
    this.#frozenUntilMs = untilMs;
    const { steadyStops, bothStop } = this.#hazards;
    const clocks = this.prng.chance(bothStop) ? "both" : "steady";
    const stands = clocks === "both" || this.prng.chance(steadyStops);
    if (!stands) return;
    this.#options.count?.("stoppedClocks");
    this.#stops.push({ fromMs, untilMs, clocks });
  }

  /** For how long a clock has stood still so far. */
  #stoppedMs(clock: "steady" | "wall"): number {
    const { nowMs } = this.kernel;
    return this.#stops.reduce((sum, { fromMs, untilMs, clocks }) => {
      if (clock === "wall" && clocks !== "both") return sum;
      return sum + Math.max(0, Math.min(nowMs, untilMs) - fromMs);
    }, 0);
  }

  /** Runs `continuation` inside this process later; here is where it may stop. */
  deliver(delayMs: number, continuation: () => void, timer?: Timer): void {
    const arrive = (): void => {
      if (!this.#isAlive) return;
      const frozenMs = this.#frozenUntilMs - this.kernel.nowMs;
      // What waited for the thaw comes in any order.
      if (frozenMs > 0) {
        return this.#afterThaw(frozenMs + this.prng.below(20), arrive, timer);
      }
      const { death, freeze, clockJump } = this.#hazards;
      if (this.prng.chance(death)) {
        this.#options.count?.("deaths");
        return this.kill();
      }
      if (this.prng.chance(freeze)) {
        const ms = drawFreezeMs(this.prng, this.#hazards);
        this.#options.count?.("freezes");
        this.freeze(ms);
        return this.#afterThaw(ms, arrive, timer);
      }
      if (this.prng.chance(clockJump)) {
        this.#options.count?.("clockJumps");
        this.#clockOffsetMs = this.#drawOffset();
        this.#jumpedMs = this.kernel.nowMs;
      }
      continuation();
    };
    this.kernel.after(delayMs, arrive, this.#event(timer));
  }

  #afterThaw(ms: number, arrive: () => void, timer: Timer | undefined): void {
    const waiting = (): void => {
      if (this.#waiting.delete(waiting)) arrive();
    };
    this.#waiting.set(waiting, timer);
    this.kernel.after(ms, waiting, this.#event(timer));
  }

  #event(timer: Timer | undefined): { timer: Timer | undefined; task: string | undefined } {
    return { timer, task: this.#options.isPlatform === true ? undefined : this.name };
  }

  /** The task of what it has sent and what is under way without it. */
  get requestTask(): string {
    return `${this.name}'s requests`;
  }

  #drawOffset(): number {
    const { clockSkewMsMax } = this.#hazards;
    return this.prng.between(-clockSkewMsMax, clockSkewMsMax);
  }

  /** Whether what its clock measures of the last `ageMs` is true: it has not jumped since. */
  isSteady(ageMs: number): boolean {
    if (this.#options.hasSteps === true) return false;
    // Before a jump it may have been as far on the other side.
    const sinceMs = ageMs + 2 * this.#hazards.clockSkewMsMax;
    return this.kernel.nowMs - this.#jumpedMs > sinceMs;
  }

  nowMs(): number {
    if (this.#options.isClockStopped === true) return EPOCH_MS;
    return Math.floor(this.#wallMs());
  }

  wallMs(): number {
    return this.isOld ? 0 : this.#wallMs();
  }

  #wallMs(): number {
    const { isClockStopped, wallErrorMs } = this.#options;
    if (isClockStopped === true) return EPOCH_MS;
    const { nowMs } = this.kernel;
    const errorMs = this.#clockOffsetMs + (wallErrorMs?.(nowMs) ?? 0);
    return EPOCH_MS + nowMs + errorMs - this.#stoppedMs("wall");
  }

  get isOld(): boolean {
    return this.#options.isOld === true;
  }

  steadyMs(): number {
    const { steadyRate = 1 } = this.#options;
    return this.kernel.nowMs * steadyRate - this.#stoppedMs("steady");
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal === undefined) return this.deliver(ms, resolve);
      if (signal.aborted) return resolve();
      const timer = { isOff: false };
      const done = (): void => {
        signal.removeEventListener("abort", done);
        timer.isOff = true;
        resolve();
      };
      signal.addEventListener("abort", done, { once: true });
      this.deliver(ms, done, timer);
    });
  }

  idle(ms: number, signal?: AbortSignal): Promise<void> {
    return this.sleep(ms, signal);
  }

  randomHex(digits: number): string {
    const first = this.#firstHex;
    this.#firstHex = undefined;
    if (first?.length === digits) return first;
    return this.prng.pick(this.#options.digits) + this.prng.hex(digits - 1);
  }

  random(): number {
    return this.prng.random();
  }
}
