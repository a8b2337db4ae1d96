/** Processes that write the same few records on conditions, all at once. */
import { Client } from "../client.ts";
import { IDS, type World } from "../world.ts";

export async function contenders(world: World): Promise<void> {
  const processes = Array.from({ length: 3 }, () => world.spawn("contender"));
  const { prng } = world;
  const ids = prng.sample(IDS, prng.between(1, 2));
  const rounds = prng.between(2, 5);
  await Promise.all(
    processes.map(async (process) => {
      const client = await Client.open(world, process, { agentId: process.name, skipLoad: true });
      if (client === undefined) return process.kill();
      for (let left = rounds; left > 0 && !world.isCalm; left--) {
        const id = process.prng.pick(ids);
        const kind = process.prng.random();
        if (kind < 0.4) await client.update(id, kind < 0.2);
        else if (kind < 0.75) await client.writeIf(id, world.uniqueRecord(process));
        else await client.writeIf(id, undefined);
        if (process.prng.chance(0.3)) await process.sleep(process.prng.between(1, 5_000));
      }
      await client.close();
      process.kill();
    }),
  );
}
