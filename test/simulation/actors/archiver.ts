/** Archivers: move what they see of a third of all records, whatever others do with it meanwhile. */
import { Client } from "../client.ts";
import { THIRDS } from "../archive-judge.ts";
import { IDS, type World } from "../world.ts";

export async function archiver(world: World): Promise<void> {
  const process = world.spawn("archiver");
  const { prng } = process;
  const skipLoad = prng.chance(0.3);
  const client = await Client.open(world, process, {
    agentId: process.name,
    skipLoad,
    checkpointOnClose: false,
  });
  if (client === undefined) return process.kill();
  // A lazy store archives what is resident.
  if (skipLoad) await client.check(prng.sample(IDS, prng.between(1, IDS.length)));
  for (let left = prng.between(1, 2); left > 0 && !world.isCalm; left--) {
    if (await client.archive(prng.below(THIRDS))) await client.check();
    // What it writes now must order above what it archived.
    if (prng.chance(0.3)) {
      await client.write([{ id: prng.pick(IDS), record: world.uniqueRecord(process) }]);
    }
    await process.sleep(prng.between(10, 3_000));
  }
  await client.close();
  process.kill();
}
