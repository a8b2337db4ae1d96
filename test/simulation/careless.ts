/**
 * A world whose server ignores preconditions: whoever trusts it would lose what others wrote. There
 * is one right thing to do, and it is judged by itself: nothing is acknowledged, nothing published.
 */
import type { Client } from "./client.ts";
import { Prng } from "./prng.ts";
import { startActors } from "./simulate.ts";
import { UNTOUCHED } from "./clocks.ts";
import { drawWeather } from "./weather.ts";
import { World } from "./world.ts";

export interface CarelessResult {
  readonly acked: number;
  readonly published: number;
  /** Writes and openings that ended with an error. */
  readonly failed: number;
  readonly refused: number;
  readonly trace: readonly string[];
}

export async function simulateCareless(seed: number): Promise<CarelessResult> {
  const dice = (what: string): Prng => new Prng(`${seed} ${what}`);
  const weather = {
    ...drawWeather(dice("weather"), dice("extras"), dice("clocks")),
    clocks: UNTOUCHED,
    disk: undefined,
    powerCutGapMs: Infinity,
    replacedGapMs: Infinity,
    isOriginal: false,
    http: { put: "any", read: "any" } as const,
  };
  const world = new World(`${seed} careless`, weather);
  world.server.ignoresConditions = true;
  const { kernel, oracle } = world;
  const clients: Client[] = [];
  startActors(world, clients);
  await kernel.run(weather.crowd.stormMs);
  world.calm();
  await kernel.run(kernel.nowMs + 60_000);
  const { acked, failed, published } = oracle.counts;
  const refused = oracle.violations.filter(({ message }) => message.includes("NOT_SUPPORTED"));
  return { acked, published, failed, refused: refused.length, trace: kernel.tail };
}
