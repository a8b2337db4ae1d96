/**
 * Whatever writers, compactors and followers do, and in whatever order: what `tail` returns,
 * applied to what a follower had, is what its store holds then, whatever of it is in memory; or it
 * says that it cannot tell. FOLLOW_SEED runs one seed again.
 */
import { afterAll, expect, test } from "vitest";
import { Compactor } from "../../src/compaction/compactor.ts";
import { DEFAULT_LIMITS } from "../../src/compaction/plan.ts";
import { FollowerExpiredError, RecordNotFoundError } from "../../src/core/errors.ts";
import type { Operation } from "../../src/core/operation.ts";
import { resolveSettings } from "../../src/core/settings.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { createEngine, type Engine } from "../../src/engine/engine.ts";
import { Store } from "../../src/store/store.ts";
import { dice, type Dice } from "../processes/random.ts";
import { scaleDateSkew } from "../support/date-skew.ts";
import { repeat } from "../support/effort.ts";
import { type Begun, LaneClient } from "../support/lane-client.ts";
import { type ManualRuntime, manualRuntime } from "../support/manual-runtime.ts";
import { SHORT_GRACES } from "./fixture.ts";

const IDS = ["a", "b", "c", "d", "e", "f", "__proto__"];
const RESIDENT = ["a", "c", "e", "__proto__"];
const STEPS = 60;
const SEEDS = process.env["FOLLOW_SEED"]
  ? [Number(process.env["FOLLOW_SEED"])]
  : range(repeat({ quick: 30, full: 150 }));

function range(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}

interface Follower {
  readonly name: string;
  readonly store: Store<unknown>;
  copy: Map<string, unknown>;
  readonly isLazy: boolean;
}

function apply(copy: Map<string, unknown>, operations: readonly Operation<unknown>[]): void {
  for (const { op, id, data } of operations) {
    if (op === "set") copy.set(id, data);
    else copy.delete(id);
  }
}

function sorted(entries: Iterable<[string, unknown]>): [string, unknown][] {
  return [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

let compared = 0;
let expired = 0;

class Scene {
  readonly #runtime: ManualRuntime = manualRuntime();
  readonly #backend = scaleDateSkew(new MemoryBackend({ runtime: this.#runtime }), SHORT_GRACES);
  readonly #random: Dice;
  /** With runs that stay most is told; without, what they held is lost at once. */
  readonly #graces: typeof SHORT_GRACES;
  readonly #lanes: LaneClient | undefined;
  #begun: Begun | undefined;
  #merged: string[] = [];
  #value = 0;

  /** @param isGuarded some writes are guarded, and nothing is purged: that takes a seal */
  constructor(seed: number, isGuarded = false) {
    this.#random = dice(seed);
    const gcGraceMs = seed % 3 === 0 ? 0 : 30_000;
    const tombstoneGraceMs = isGuarded ? 1_000_000_000 : SHORT_GRACES.tombstoneGraceMs;
    const segmentGraceMs = seed % 2 === 0 ? 0 : 5_000;
    this.#graces = { ...SHORT_GRACES, gcGraceMs, tombstoneGraceMs, segmentGraceMs };
    this.#lanes = isGuarded ? new LaneClient(this.#engine()) : undefined;
  }

  async open(options: StoreOptions<unknown>): Promise<Store<unknown>> {
    const store = new Store<unknown>({ runtime: this.#runtime });
    const backend = this.#backend;
    await store.open("memory", { backend, checkpointThreshold: 9, ...this.#graces, ...options });
    return store;
  }

  async #follower(name: string, options: StoreOptions<unknown>): Promise<Follower> {
    const store = await this.open(options);
    const isLazy = options.skipLoad === true;
    if (name === "gradual reader") await store.hydrate(RESIDENT);
    const copy = isLazy ? await store.readMany(IDS) : new Map(store.entries());
    // From here on it follows; looking is all that the first time does.
    apply(copy, await store.tail());
    return { name, store, copy, isLazy };
  }

  /** Nothing is in memory but what it looks up later. The copy is another's. */
  async #lazyFollower(name: string, options: StoreOptions<unknown>): Promise<Follower> {
    const store = await this.open({ ...options, skipLoad: true });
    apply(new Map(), await store.tail());
    const reader = await this.open({ readOnly: true });
    const copy = new Map(reader.entries());
    await reader.close();
    return { name, store, copy, isLazy: true };
  }

  async run(): Promise<void> {
    const single = await this.open({});
    await this.#lanes?.giveBirth();
    const other = await this.open({ agentId: "other" });
    const followers = [
      await this.#follower("agent", { agentId: "follower" }),
      await this.#follower("reader", { readOnly: true }),
      await this.#follower("gradual reader", { readOnly: true, skipLoad: true }),
      await this.#lazyFollower("lazy reader", { readOnly: true }),
      await this.#lazyFollower("lazy agent", { agentId: "lazy", blindWrites: true }),
    ];
    const own = followers.filter(({ name }) => name.endsWith("agent"));
    for (let step = 1; step <= STEPS; step++) {
      const busy: Promise<unknown>[] = [];
      if (this.#random.chance(0.8)) busy.push(this.#write(single));
      if (this.#random.chance(0.5)) busy.push(this.#write(other));
      if (this.#random.chance(0.2)) busy.push(this.#compact());
      for (const follower of followers) {
        if (this.#random.chance(0.3)) busy.push(this.#look(follower, step));
        // Its own writes it knows; while it looks it makes none.
        else if (own.includes(follower) && this.#random.chance(0.4))
          busy.push(this.#follow(follower));
        else if (follower.isLazy && this.#random.chance(0.2))
          busy.push(this.#becomeResident(follower));
      }
      await this.#settled(Promise.all(busy));
      if (this.#random.chance(0.5)) await this.#guard();
      for (const follower of followers) {
        if (follower.isLazy && this.#random.chance(0.3)) await this.#compare(follower, step);
      }
      if (this.#random.chance(0.3)) await this.#runtime.advance(this.#random.below(6_000));
    }
    await this.#decide();
    for (const follower of followers) await this.#look(follower, STEPS + 1);
    for (const follower of followers) await this.#compare(follower, STEPS + 1);
    for (const follower of followers) {
      expect(await follower.store.tail(), `${follower.name} again`).toEqual([]);
    }
    await Promise.all(
      [single, other, ...followers.map(({ store }) => store)].map((s) => s.close()),
    );
  }

  /** Lets the time pass that work waits for: an update waits for a transaction to be decided. */
  async #settled(work: Promise<unknown>): Promise<void> {
    const runtime = this.#runtime;
    const over = { is: false };
    const end = (): void => void (over.is = true);
    work.then(end, end);
    await runtime.advance(0);
    while (!over.is) await runtime.advance(Math.min(...runtime.waitsMs, 1_000));
    await work;
  }

  /** A write of the follower's own, which its copy takes in. */
  async #follow({ store, copy }: Follower): Promise<void> {
    const [id] = this.#random.pick(IDS, 1);
    const value = this.#nextValue();
    await store.set(id ?? "a", value);
    copy.set(id ?? "a", value);
  }

  async #look(follower: Follower, step: number): Promise<void> {
    const { name, store, copy } = follower;
    const had = JSON.stringify([...copy]);
    const told = await this.#tail(follower);
    if (told === undefined) return;
    apply(copy, told);
    // What a lazy one holds is looked up, which may see later writes: see `#compare`.
    if (follower.isLazy) return;
    const state = `${name} at step ${step}: had ${had}, told ${JSON.stringify(told)}`;
    expect(sorted(copy), state).toEqual(sorted(store.entries()));
  }

  /** Undefined: it cannot be told; then the follower starts anew. */
  async #tail(follower: Follower): Promise<Operation<unknown>[] | undefined> {
    try {
      return await follower.store.tail();
    } catch (error) {
      expect(error).toBeInstanceOf(FollowerExpiredError);
      expect(follower.isLazy, "only what is not in memory can be lost").toBe(true);
      expired++;
      follower.copy = await follower.store.readMany(IDS);
      return undefined;
    }
  }

  /** While nothing else happens. A fresh reader tells what there is. */
  async #compare(follower: Follower, step: number): Promise<void> {
    const had = JSON.stringify([...follower.copy]);
    const told = await this.#tail(follower);
    if (told !== undefined) apply(follower.copy, told);
    const fresh = await this.open({ readOnly: true });
    const state = `${follower.name} at step ${step}: had ${had}, told ${JSON.stringify(told)}`;
    expect(sorted(follower.copy), state).toEqual(sorted(fresh.entries()));
    await fresh.close();
    compared++;
  }

  /** Before a look or after a refresh: what is read is not what was told. */
  async #becomeResident({ store }: Follower): Promise<void> {
    if (this.#random.chance(0.5)) await store.refresh();
    if (this.#random.chance(0.05)) await store.hydrate();
    else await store.readMany(this.#random.pick(IDS, 2));
  }

  async #write(store: Store<unknown>): Promise<void> {
    await this.#change(store).catch((error: unknown) => {
      // The other writer deleted it, which this one saw only now.
      expect(error).toBeInstanceOf(RecordNotFoundError);
    });
  }

  async #change(store: Store<unknown>): Promise<void> {
    const random = this.#random;
    const [a = "a", b = "b"] = random.pick(IDS, 2);
    const choice = random.below(10);
    if (choice < 2) await store.undo();
    else if (choice < 4) await this.#batch(store, a, b);
    else if (choice < 6) await store.update(a, () => undefined);
    else await store.set(a, this.#nextValue());
  }

  /** A guarded write, a step of a transaction, or a merge of claims. */
  async #guard(): Promise<void> {
    const lanes = this.#lanes;
    if (lanes === undefined) return;
    const random = this.#random;
    const [a = "a", b = "b"] = random.pick(IDS, 2);
    const value = (): unknown => (random.chance(0.2) ? undefined : this.#nextValue());
    const choice = random.below(10);
    if (this.#begun !== undefined) {
      // Whoever writes decides it first.
      if (choice < 5) await this.#decide();
    } else if (choice < 5) {
      await lanes.write({ [a]: value() });
    } else if (choice < 8) {
      this.#begun = await lanes.begin({ [a]: value(), [b]: value() });
    } else {
      await this.#deleteMerged();
      this.#merged = await lanes.merge();
      if (random.chance(0.5)) await this.#deleteMerged();
    }
  }

  async #decide(): Promise<void> {
    const begun = this.#begun;
    this.#begun = undefined;
    const deciding = this.#random.chance(0.7) ? begun?.commit() : begun?.abort();
    // An update that waited for it may have aborted it.
    await deciding?.catch(({ message }: Error) => expect(message).toMatch(/ exists already$/));
  }

  async #deleteMerged(): Promise<void> {
    await this.#backend.delete(this.#merged);
    this.#merged = [];
  }

  #batch(store: Store<unknown>, a: string, b: string): Promise<void> {
    return store.batch(() => {
      void store.set(a, this.#nextValue());
      if (store.has(b)) void store.delete(b);
      void store.set(a, this.#nextValue());
    });
  }

  /** Few different values: an old one may come back. */
  #nextValue(): unknown {
    return { n: ++this.#value % 5, text: "some text that makes a reverse patch worth it" };
  }

  #engine(): Engine {
    return createEngine({
      backend: this.#backend,
      location: "memory",
      runtime: this.#runtime,
      settings: resolveSettings(this.#graces),
      onWarning: (message) => expect.unreachable(message),
      schema: { version: 1, migrate: undefined },
    });
  }

  async #compact(): Promise<void> {
    const compactor = new Compactor({ ...this.#engine(), limits: DEFAULT_LIMITS });
    await compactor.pass({ full: this.#random.chance(0.5) });
  }
}

afterAll(() => {
  if (SEEDS.length === 1) return;
  expect(compared).toBeGreaterThan(SEEDS.length * (1_000 / 150));
  // Both happen: most of what is compacted can be told.
  expect(expired).toBeGreaterThan(SEEDS.length * (100 / 150));
  expect(expired).toBeLessThan(compared / 2);
});

test.each(SEEDS)("what is reported is what changed, seed %i", async (seed) => {
  await new Scene(seed).run();
});

test.each(SEEDS)("also where some writes are guarded, seed %i", async (seed) => {
  await new Scene(seed, true).run();
});
