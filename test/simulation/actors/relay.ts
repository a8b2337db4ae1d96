/**
 * Programs that take turns, as a user at several tabs: each writes what another has written just
 * before, without a look in between. Nothing but clocks tells which is the later one.
 */
import { Client } from "../client.ts";
import { IDS, type World } from "../world.ts";

export async function relay(world: World): Promise<void> {
  const processes = [world.spawn("relay"), world.spawn("relay")];
  const openings = processes.map((process) =>
    Client.open(world, process, { agentId: process.name, skipLoad: true, blindWrites: true }),
  );
  const clients = (await Promise.all(openings)).filter((client) => client !== undefined);
  const { prng } = world;
  const id = prng.pick(IDS);
  for (let turns = prng.between(2, 5); turns > 0 && !world.isCalm; turns--) {
    for (const client of clients) {
      const writes = prng.pick([1, 1, 2, 5]);
      for (let left = writes; left > 0; left--) {
        await client.write([{ id, record: world.uniqueRecord(client.process) }]);
      }
    }
    world.oracle.counts.turns++;
    if (prng.chance(0.3)) await processes[0]?.sleep(prng.between(1, 12_000));
  }
  await Promise.all(clients.map((client) => client.close()));
  for (const process of processes) process.kill();
}
