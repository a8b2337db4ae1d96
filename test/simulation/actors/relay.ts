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
  const { steadyStops, bothStop, freezeMsMax } = world.weather.hazards;
  const stops = steadyStops + bothStop > 0;
  for (let turns = prng.between(2, 5); turns > 0 && !world.isCalm; turns--) {
    for (const [at, client] of clients.entries()) {
      const next = clients[at + 1] ?? clients[0];
      // Frozen while the other writes, so that its time lies behind that.
      if (stops && prng.chance(0.3)) next?.process.freeze(prng.between(500, freezeMsMax));
      const writes = prng.pick([1, 1, 2, 5]);
      for (let left = writes; left > 0; left--) {
        await client.write([{ id, record: world.uniqueRecord(client.process) }]);
      }
      await next?.process.sleep(0);
    }
    world.oracle.counts.turns++;
    if (prng.chance(0.3)) await processes[0]?.sleep(prng.between(1, 12_000));
  }
  await Promise.all(clients.map((client) => client.close()));
  for (const process of processes) process.kill();
}
