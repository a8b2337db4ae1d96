/**
 * Programs that take turns, as a user at several tabs: each writes what another has written just
 * before, without a look in between. Nothing but clocks tells which is the later one.
 */
import { type Change, Client } from "../client.ts";
import { drawFreezeMs } from "../sim-process.ts";
import { IDS, type World } from "../world.ts";

/**
 * Of a batch whose clocks run ahead of a medium that answers within 20 µs: by 0.2 ms, as those of
 * 100,000 run ahead of one that answers within 10 ms.
 */
const BULK_OPERATIONS = 200;
const BULK_AHEAD_MS = 0.2;
const BULK_ROUNDS = 3;

export async function relay(world: World): Promise<void> {
  const processes = [world.spawn("relay"), world.spawn("relay")];
  const openings = processes.map((process) =>
    Client.open(world, process, { agentId: process.name, skipLoad: true, blindWrites: true }),
  );
  const clients = (await Promise.all(openings)).filter((client) => client !== undefined);
  const { prng } = world;
  const id = prng.pick(IDS);
  const changeBy = ({ process }: Client): Change => ({ id, record: world.uniqueRecord(process) });
  const { hazards } = world.weather;
  const stops = hazards.steadyStops + hazards.bothStop > 0;
  for (let turns = prng.between(2, 5); turns > 0 && !world.isCalm; turns--) {
    for (const [at, client] of clients.entries()) {
      const next = clients[at + 1] ?? clients[0];
      // Frozen while the other writes, so that its time lies behind that.
      if (stops && prng.chance(0.3)) next?.process.freeze(drawFreezeMs(prng, hazards));
      const writes = prng.pick([1, 1, 2, 5]);
      for (let left = writes; left > 0; left--) await client.write([changeBy(client)]);
      await next?.process.sleep(0);
    }
    world.oracle.counts.turns++;
    if (prng.chance(0.3)) await processes[0]?.sleep(prng.between(1, 12_000));
  }
  const [bulk, next] = clients;
  if (world.weather.clocks.kind === "fastMedium" && bulk !== undefined && next !== undefined) {
    // Whoever looks before it writes is above the batch: not twice within so short a time.
    for (let rounds = BULK_ROUNDS; rounds > 0; rounds--) {
      const changes = Array.from({ length: BULK_OPERATIONS }, () => changeBy(bulk));
      if (await bulk.write(changes)) world.oracle.counts.bulkBatches++;
      await next.process.sleep(BULK_AHEAD_MS / 10);
      await next.write([changeBy(next)]);
      // A batch on top of one that is still ahead would be further ahead than its operations.
      await bulk.process.sleep(5 * BULK_AHEAD_MS);
    }
  }
  await Promise.all(clients.map((client) => client.close()));
  for (const process of processes) process.kill();
}
