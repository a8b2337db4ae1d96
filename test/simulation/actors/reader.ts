/** Readers: fresh ones, and long-lived ones that refresh seldom enough to sleep through a purge. */
import { Client } from "../client.ts";
import type { SimProcess } from "../sim-process.ts";
import { IDS, type World } from "../world.ts";

export async function freshReader(world: World): Promise<void> {
  const process = world.spawn("fresh");
  const skipLoad = process.prng.chance(0.5);
  const client = await Client.open(world, process, { readOnly: true, skipLoad });
  if (client === undefined) return process.kill();
  const { prng } = process;
  for (let looks = skipLoad ? prng.between(1, 3) : 0; looks > 0; looks--) {
    await client.check(prng.sample(IDS, prng.between(1, 2)));
    await process.sleep(prng.between(1, 3_000));
  }
  if (prng.chance(0.5)) await client.scan();
  await client.check();
  await client.close();
  process.kill();
}

/** Makes one record after the other resident while others are brought up to date. */
export async function gradualReader(world: World): Promise<void> {
  const process = world.spawn("gradual");
  const { prng } = process;
  const client = await Client.open(world, process, { readOnly: true, skipLoad: true });
  if (client === undefined) return process.kill();
  for (const id of prng.sample(IDS, IDS.length)) {
    await process.sleep(prng.between(1, 3_000));
    const lookup = async (): Promise<void> => {
      await process.sleep(prng.between(0, 100));
      await client.check([id]);
    };
    const [isFresh] = await Promise.all([client.refresh(), lookup()]);
    if (isFresh) await client.check([id]);
  }
  await client.close();
  process.kill();
}

/** Holds a copy of the store that it brings up to date by what `tail` tells. */
export async function follower(world: World): Promise<void> {
  const process = world.spawn("follower");
  const { prng } = process;
  if (prng.chance(0.5)) return lazyFollower(world, process);
  const client = await Client.open(world, process, { readOnly: true });
  if (client === undefined) return process.kill();
  const had = client.copy();
  for (let looks = prng.between(2, 12); looks > 0 && !world.isCalm; looks--) {
    if (await client.follow(had)) await client.check();
    await process.sleep(prng.between(1, prng.pick([500, 8_000, 40_000])));
  }
  await client.close();
  process.kill();
}

/** The same without the records in memory, but for what it looks up now and then. */
async function lazyFollower(world: World, process: SimProcess): Promise<void> {
  const { prng } = process;
  const client = await Client.open(world, process, { readOnly: true, skipLoad: true });
  if (client === undefined) return process.kill();
  // It begins to follow, then takes its copy: what comes between is told again.
  let had: Map<string, string> | undefined;
  if ((await client.followLazily(undefined)) === "told") had = await client.lazyCopy();
  for (let looks = prng.between(2, 12); looks > 0 && !world.isCalm; looks--) {
    await process.sleep(prng.between(1, prng.pick([500, 8_000, 40_000])));
    if (prng.chance(0.2)) await client.refresh();
    if (prng.chance(0.2)) await client.check(prng.sample(IDS, 2));
    const outcome = await client.followLazily(had);
    if (outcome === "expired") had = await client.lazyCopy();
    else if (outcome === "told" && had === undefined) had = await client.lazyCopy();
  }
  await client.close();
  process.kill();
}

export async function longReader(world: World, clients: Client[]): Promise<void> {
  const process = world.spawn("reader");
  const { prng } = process;
  const skipLoad = prng.chance(0.4);
  const client = await Client.open(world, process, { readOnly: true, skipLoad });
  if (client === undefined) return process.kill();
  clients.push(client);
  const [low, high] = prng.pick([
    [200, 6_000],
    [500, 30_000],
    [30_000, 90_000],
  ] as const);
  while (!world.isCalm) {
    if (prng.chance(0.7)) await client.check(prng.sample(IDS, prng.between(1, IDS.length)));
    await process.sleep(prng.between(low, high));
    // Some ids become resident while others are brought up to date.
    const ids = prng.sample(IDS, prng.between(1, 2));
    const [isFresh] = await Promise.all([client.refresh(), client.check(ids)]);
    if (isFresh) await client.check(prng.chance(0.5) ? IDS : ids);
  }
}
