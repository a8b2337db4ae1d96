/** A network that breaks as `chaosFor` says. */
import { setTimeout as delay } from "node:timers/promises";
import type { Dice } from "../processes/random.ts";
import type { RecordingProxy } from "../support/recording-proxy.ts";
import { chaosFor } from "./chaos.ts";

/** @returns how many requests were disturbed so far */
export function disturb(proxy: RecordingProxy, chance: Dice): { readonly count: number } {
  const disturbed = { count: 0 };
  proxy.fault = async (request) => {
    const { delayMs, fault } = chaosFor(request, chance);
    if (delayMs > 0 || fault !== undefined) disturbed.count++;
    if (delayMs > 0) await delay(delayMs);
    return fault;
  };
  return disturbed;
}
