/** Processes whose stores open on what was seen before: within a bound of time, or compacted only. */
import { Client } from "../client.ts";
import type { Mark } from "../mark.ts";
import type { SimProcess } from "../sim-process.ts";
import { IDS, type World } from "../world.ts";

interface TimedMark {
  /** By the process's clock, as its stores measure. */
  readonly localMs: number;
  readonly whole: Mark;
  readonly snapshot: Mark;
}

/** Several stores over one backend, one after the other; each judged by what it promises. */
export async function staleClient(world: World): Promise<void> {
  const process = world.spawn("stale");
  const { prng } = process;
  const backend = world.backendFor(process);
  const marks = new Marks(world, process);
  for (let left = prng.between(3, 8); left > 0 && !world.isCalm; left--) {
    marks.take();
    const maxStaleMs = prng.pick([500, 3_000, 20_000]);
    const isSnapshot = prng.chance(0.5);
    const freshness = isSnapshot ? "snapshot" : { maxStaleMs };
    const mark = isSnapshot
      ? marks.before(world.settingsFor(process).refreshEveryMs).snapshot
      : marks.before(maxStaleMs).whole;
    const options = {
      agentId: process.name,
      skipLoad: prng.chance(0.7),
      checkpointOnClose: false,
      freshness,
    } as const;
    const client = await Client.open(world, process, options, { backend, mark });
    if (client === undefined) continue;
    await client.check(prng.sample(IDS, prng.between(1, IDS.length)));
    if (prng.chance(0.4)) {
      const write = { id: prng.pick(world.activeIds), record: world.uniqueRecord(process) };
      await client.write([write]);
      await client.check();
    }
    await process.sleep(prng.between(1, prng.pick([500, 5_000, 15_000])));
    await client.check();
    await client.close();
  }
  process.kill();
}

/** What was there to be seen, over time. */
class Marks {
  readonly #world: World;
  readonly #process: SimProcess;
  readonly #first: TimedMark;
  #taken: TimedMark[] = [];

  constructor(world: World, process: SimProcess) {
    this.#world = world;
    this.#process = process;
    const unseen = { changes: -1, least: new Map(), clock: 0, takenMs: -Infinity };
    const nothing = { ...world.oracle.mark(), ...unseen };
    this.#first = { localMs: -Infinity, whole: nothing, snapshot: nothing };
  }

  take(): void {
    const { oracle } = this.#world;
    const localMs = this.#process.nowMs();
    this.#taken.push({ localMs, whole: oracle.mark(), snapshot: oracle.snapshotMark() });
  }

  /** The last one at least so long ago. */
  before(ageMs: number): TimedMark {
    // A look that began before a clock jumped may seem as young as one that began just now.
    if (!this.#process.isSteady(ageMs)) return this.#first;
    const localMs = this.#process.nowMs() - ageMs;
    return this.#taken.findLast((mark) => mark.localMs < localMs) ?? this.#first;
  }
}
