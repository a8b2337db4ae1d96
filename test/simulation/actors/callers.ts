/** Processes that all call the same few functions once. */
import { OnceInProgressError, OnceLostError } from "../../../src/core/errors.ts";
import { Client } from "../client.ts";
import type { World } from "../world.ts";

/** In lanes that others write, too. */
const KEYS = ["k{jh}", "l{mp}"] as const;
const LEASES_MS = [1_000, 3_000, 8_000] as const;
const TTLS_MS = [3_000, 15_000, 60_000] as const;
/** What the function of a call throws now and then. */
const FAILURE = new Error("the function failed");

export async function callers(world: World): Promise<void> {
  const processes = Array.from({ length: world.prng.between(2, 4) }, () => world.spawn("caller"));
  const { prng } = world;
  const keys = prng.sample(KEYS, prng.between(1, 2));
  const [leaseMs, ttlMs] = [prng.pick(LEASES_MS), prng.pick(TTLS_MS)];
  const rounds = prng.between(2, 6);
  await Promise.all(
    processes.map(async (process) => {
      const skipLoad = process.prng.chance(0.7);
      const client = await Client.open(world, process, { agentId: process.name, skipLoad });
      if (client === undefined) return process.kill();
      for (let left = rounds; left > 0 && !world.isCalm; left--) {
        await call(world, client, process.prng.pick(keys), { leaseMs, ttlMs });
        await process.sleep(process.prng.between(1, process.prng.pick([300, 3_000, 20_000])));
      }
      await client.close();
      process.kill();
    }),
  );
}

async function call(
  world: World,
  client: Client,
  key: string,
  options: { readonly leaseMs: number; readonly ttlMs: number },
): Promise<void> {
  const { process } = client;
  const { once, counts } = world.oracle;
  const { prng } = process;
  const begun = once.begin(key);
  const fn = async (): Promise<string> => {
    once.runs(begun);
    const longest = prng.chance(0.2) ? 4 * options.leaseMs : options.leaseMs / 2;
    await process.sleep(prng.between(1, longest));
    if (prng.chance(0.1)) throw FAILURE;
    begun.result = `${process.name} ${world.uniqueRecord(process).n}`;
    return begun.result;
  };
  try {
    once.returned(begun, await client.once(key, fn, options));
  } catch (error) {
    if (error instanceof OnceLostError) once.lost(begun);
    else if (error instanceof OnceInProgressError) counts.onceInProgress++;
    else if (error !== FAILURE) client.failed("write", error);
  }
}
