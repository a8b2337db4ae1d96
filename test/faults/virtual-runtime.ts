/** A runtime in which nobody waits: who sleeps puts the clock forward instead. */
import type { Runtime } from "../../src/core/runtime.ts";
import { dice } from "../processes/random.ts";

export interface VirtualRuntime extends Runtime {
  pass(ms: number): void;
}

export function virtualRuntime(seed: number): VirtualRuntime {
  const chance = dice(seed);
  let nowMs = 1_800_000_000_000;
  return {
    nowMs: () => nowMs,
    pass: (ms) => void (nowMs += ms),
    wallMs: () => nowMs,
    steadyMs: () => nowMs,
    sleep: async (ms) => {
      await Promise.resolve();
      nowMs += ms;
    },
    // Background work (renewals of leases) never comes up.
    idle: (_, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted === true) resolve();
        else signal?.addEventListener("abort", () => resolve(), { once: true });
      }),
    random: () => chance.below(1_000_000) / 1_000_000,
    randomHex: (digits) =>
      Array.from({ length: digits }, () => chance.below(16).toString(16)).join(""),
  };
}
