/** A runtime whose clock stands still until a test moves it. */
import type { Runtime } from "../../src/core/runtime.ts";

export interface ManualRuntime extends Runtime {
  /** Moves the clock, ends the waits that this reaches, and lets what they started take its course. */
  advance(ms: number): Promise<void>;
  /** How long each wait that is under way still takes. */
  readonly waitsMs: number[];
}

interface Wait {
  readonly atMs: number;
  readonly end: () => void;
}

/** How many turns of the event loop a wait's consequences are given; none takes real time. */
const TURNS = 20;

export function manualRuntime(startMs = 1_800_000_000_000): ManualRuntime {
  let nowMs = startMs;
  let counter = 0;
  const waits = new Set<Wait>();

  const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const end = (): void => {
        waits.delete(wait);
        signal?.removeEventListener("abort", end);
        resolve();
      };
      const wait = { atMs: nowMs + ms, end };
      if (signal?.aborted === true) return resolve();
      signal?.addEventListener("abort", end, { once: true });
      waits.add(wait);
    });

  return {
    nowMs: () => nowMs,
    wallMs: () => nowMs,
    steadyMs: () => nowMs,
    sleep,
    idle: sleep,
    random: () => 0.5,
    randomHex: (digits) => (++counter).toString(16).padStart(digits, "0"),
    get waitsMs() {
      return [...waits].map(({ atMs }) => atMs - nowMs);
    },
    advance: async (ms) => {
      nowMs += ms;
      for (const { atMs, end } of waits) if (atMs <= nowMs) end();
      for (let turn = 0; turn < TURNS; turn++) await new Promise((next) => setImmediate(next));
    },
  };
}
