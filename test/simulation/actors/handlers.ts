/** Invocations that run at once in one process: stores over one backend that flush together. */
import { Client } from "../client.ts";
import type { World } from "../world.ts";
import { act } from "./writer.ts";

export async function handlers(world: World): Promise<void> {
  const process = world.spawn("handlers");
  const { prng } = process;
  // Shorter and longer than a request takes.
  const shared = { backend: world.backendFor(process), flushLingerMs: prng.pick([0, 50, 1_000]) };
  const openings = Array.from({ length: prng.between(2, 4) }, (_, n) => {
    const skipLoad = prng.chance(0.8);
    const blindWrites = skipLoad && prng.chance(0.6);
    const options = { agentId: `${process.name}-${n}`, skipLoad, blindWrites };
    return Client.open(world, process, options, shared);
  });
  const opened = await Promise.all(openings);
  const clients = opened.filter((client) => client !== undefined);
  for (let rounds = prng.between(1, 5); rounds > 0 && !world.isCalm; rounds--) {
    await Promise.all(clients.map((client) => act(world, client)));
    if (prng.chance(0.4)) await process.sleep(prng.between(1, 3_000));
    for (const client of prng.sample(clients, 1)) {
      if (prng.chance(0.4) && (await client.refresh())) await client.check();
    }
  }
  await Promise.all(clients.map((client) => client.close()));
  process.kill();
}
