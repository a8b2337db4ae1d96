/** Writers: short-lived ones, as in Lambda, and long-lived ones that look again now and then. */
import type { StoreOptions } from "../../../src/session/options.ts";
import { type Change, Client } from "../client.ts";
import type { SimProcess } from "../sim-process.ts";
import { IDS, type SpawnOptions, type World } from "../world.ts";

const AGENTS_SHARED = ["web", "jobs"];

/** One invocation: opens, does a few things, closes. */
export async function shortWriter(world: World): Promise<void> {
  const process = world.spawn("short");
  const { prng } = process;
  const isLazy = prng.chance(0.6);
  const client = await Client.open(world, process, {
    ...drawIdentity(process),
    skipLoad: isLazy,
    blindWrites: isLazy && prng.chance(0.3),
    checkpointOnClose: !isLazy && prng.chance(0.3),
  });
  if (client === undefined) return process.kill();
  for (let left = prng.between(1, 3); left > 0 && !world.isCalm; left--) {
    await act(world, client);
    if (prng.chance(0.3)) await process.sleep(prng.between(10, 1_500));
  }
  await client.close();
  process.kill();
}

/** Writes for as long as the storm lasts; the oracle asks it for more in the end. */
export async function longWriter(world: World, clients: Client[]): Promise<void> {
  const process = world.spawn("long");
  const { prng } = process;
  const client = await Client.open(world, process, {
    agentId: prng.chance(0.3) ? prng.pick(AGENTS_SHARED) : process.name,
    skipLoad: prng.chance(0.5),
    checkpointThreshold: prng.chance(0.3) ? 5 : 1_000,
  });
  if (client === undefined) return process.kill();
  clients.push(client);
  while (!world.isCalm) {
    if (world.isBusy || prng.chance(0.3)) await act(world, client);
    if (prng.chance(0.2)) await client.refresh();
    if (prng.chance(0.12) && (await client.compact())) {
      // What the compaction merged for others must be here as well.
      if (await client.refresh()) await client.check();
    }
    await process.sleep(prng.between(200, prng.pick([1_000, 4_000, 30_000])));
  }
}

/** The single writer, as long as nobody else is: eager, and opens again once it was replaced. */
export async function singleWriter(world: World): Promise<void> {
  const process = world.spawn("single");
  const { prng } = process;
  const client = await Client.open(world, process, { checkpointThreshold: 10 });
  if (client === undefined) return process.kill();
  for (let left = prng.between(3, 15); left > 0 && !world.isCalm; left--) {
    await act(world, client);
    await process.sleep(prng.between(100, prng.pick([1_000, 8_000])));
  }
  await client.close();
  process.kill();
}

/** Two processes that go on from one memory image: same `w`, same stream, same clock. */
export async function clonedWriters(world: World): Promise<void> {
  const firstHex = world.prng.pick(world.weather.digits) + world.prng.hex(15);
  world.oracle.ledger.cloned.add(firstHex);
  const delayMs = world.prng.between(0, 300);
  await Promise.all([clone(world, { firstHex }, 0), clone(world, { firstHex }, delayMs)]);
}

async function clone(world: World, options: SpawnOptions, delayMs: number): Promise<void> {
  // Alike to the millisecond, where clocks may be anything.
  const isClockStopped = world.weather.clocks.kind === "anyClocks";
  const process = world.spawn("clone", { ...options, isClockStopped });
  await process.sleep(delayMs);
  const client = await Client.open(world, process, { agentId: "cloned", skipLoad: true });
  if (client === undefined) return process.kill();
  await act(world, client);
  await act(world, client);
  await client.close();
  process.kill();
}

function drawIdentity({ prng, name }: SimProcess): StoreOptions<never> {
  const kind = prng.random();
  if (kind < 0.1) return {}; // The single writer, or what takes itself for one.
  return { agentId: kind < 0.4 ? prng.pick(AGENTS_SHARED) : name };
}

/** One thing that a program does with a store, often followed by a look at the result. */
export async function act(world: World, client: Client): Promise<void> {
  const { prng } = client.process;
  const kind = prng.random();
  // Between the rounds records are cleared away, and stay so long enough to be purged.
  if (!world.isBusy && kind < 0.8) await client.write([{ id: prng.pick(IDS), record: undefined }]);
  else if (kind < 0.3) await client.write([set(world, client, prng.pick(world.activeIds))]);
  else if (kind < 0.55) await client.write([{ id: prng.pick(world.activeIds), record: undefined }]);
  else if (kind < 0.75) await client.write(drawBatch(world, client));
  else if (kind < 0.85) await guard(world, client, prng.pick(world.activeIds), kind);
  else if (kind < 0.92) await writeSideBySide(world, client);
  else if (kind < 0.98) await client.undo();
  if (prng.chance(0.4)) await client.check();
}

/** @param kind between 0.75 and 0.85 */
async function guard(world: World, client: Client, id: string, kind: number): Promise<void> {
  if (kind > 0.8) await client.update(id);
  else if (kind > 0.77) await client.writeIf(id, world.uniqueRecord(client.process));
  else await client.writeIf(id, undefined);
}

function drawBatch(world: World, client: Client): Change[] {
  const { prng } = client.process;
  const hasDelete = prng.chance(0.3);
  return prng
    .sample(world.activeIds, prng.between(2, 3))
    .map((id) =>
      hasDelete && prng.chance(0.4) ? { id, record: undefined } : set(world, client, id),
    );
}

/** Several calls at once share a flush, or queue behind one. */
async function writeSideBySide(world: World, client: Client): Promise<void> {
  const { prng } = client.process;
  const ids = prng.sample(world.activeIds, prng.between(2, 3));
  const writes = ids.map(async (id) => {
    await client.process.sleep(prng.between(0, 30));
    await client.write([set(world, client, id)]);
  });
  await Promise.all(writes);
}

function set(world: World, client: Client, id: string): Change {
  return { id, record: world.uniqueRecord(client.process) };
}
