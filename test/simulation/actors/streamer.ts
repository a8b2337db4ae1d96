/** Programs that keep a copy by streams: the snapshot, then every operation on top of it. */
import { Client } from "../client.ts";
import { IDS, type World } from "../world.ts";

export async function streamer(world: World): Promise<void> {
  const process = world.spawn("streamer");
  const { prng } = process;
  const isWriter = prng.chance(0.3);
  const client = await Client.open(world, process, {
    ...(isWriter ? { agentId: process.name } : { readOnly: true }),
    skipLoad: prng.chance(0.7),
    checkpointOnClose: false,
  });
  if (client === undefined) return process.kill();
  for (let left = prng.between(1, 4); left > 0 && !world.isCalm; left--) {
    await client.stream(async () => {
      await process.sleep(prng.between(1, prng.pick([100, 5_000, 60_000])));
      if (!isWriter || prng.chance(0.5)) return;
      await client.write([{ id: prng.pick(IDS), record: world.uniqueRecord(process) }]);
    });
    await process.sleep(prng.between(1, 10_000));
  }
  await client.close();
  process.kill();
}
