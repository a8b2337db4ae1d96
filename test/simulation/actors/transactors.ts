/** Processes whose transactions read and write the same few records, beside other conditional writes. */
import { type Change, Client } from "../client.ts";
import { IDS, type World } from "../world.ts";
import type { SimProcess } from "../sim-process.ts";

export async function transactors(world: World): Promise<void> {
  const { prng } = world;
  const processes = Array.from({ length: prng.between(2, 4) }, () => world.spawn("transactor"));
  const ids = prng.sample(IDS, prng.between(2, 5));
  const rounds = prng.between(2, 6);
  await Promise.all(
    processes.map(async (process) => {
      const skipLoad = process.prng.chance(0.7);
      const client = await Client.open(world, process, { agentId: process.name, skipLoad });
      if (client === undefined) return process.kill();
      for (let left = rounds; left > 0 && !world.isCalm; left--) {
        await act(world, process, client, ids);
        if (process.prng.chance(0.3)) await process.sleep(process.prng.between(1, 5_000));
      }
      await client.close();
      process.kill();
    }),
  );
}

async function act(
  world: World,
  process: SimProcess,
  client: Client,
  ids: readonly string[],
): Promise<void> {
  const { prng } = process;
  const kind = prng.random();
  if (kind < 0.15) {
    await client.update(prng.pick(ids));
    return;
  }
  const write = (id: string): Change => {
    return { id, record: prng.chance(0.2) ? undefined : world.uniqueRecord(process) };
  };
  // What one of them reads another writes (write skew); all that it reads; or nothing.
  const reads = prng.sample(ids, prng.between(kind < 0.3 ? 2 : 1, ids.length));
  const written = kind < 0.3 ? [] : kind < 0.7 ? prng.sample(reads, 1) : prng.sample(ids, 2);
  await client.transact(reads, written.map(write));
}
