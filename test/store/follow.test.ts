/**
 * Whatever writers, compactors and followers do, and in whatever order: what `tail` returns,
 * applied to what a follower had, is what its store holds then. FOLLOW_SEED runs one seed again.
 */
import { expect, test } from "vitest";
import { Compactor } from "../../src/compaction/compactor.ts";
import { DEFAULT_LIMITS } from "../../src/compaction/plan.ts";
import { RecordNotFoundError } from "../../src/core/errors.ts";
import type { Operation } from "../../src/core/operation.ts";
import { resolveSettings } from "../../src/core/settings.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import type { StoreOptions } from "../../src/store/options.ts";
import { createParts } from "../../src/store/parts.ts";
import { Store } from "../../src/store/store.ts";
import { dice, type Dice } from "../processes/random.ts";
import { scaleDateSkew } from "../support/date-skew.ts";
import { type ManualRuntime, manualRuntime } from "../support/manual-runtime.ts";
import { SHORT_GRACES } from "./fixture.ts";

const IDS = ["a", "b", "c", "d", "e", "f", "__proto__"];
const RESIDENT = ["a", "c", "e", "__proto__"];
const STEPS = 60;
const SEEDS = process.env["FOLLOW_SEED"] ? [Number(process.env["FOLLOW_SEED"])] : range(150);

function range(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}

interface Follower {
  readonly name: string;
  readonly store: Store<unknown>;
  readonly copy: Map<string, unknown>;
  /** Of a lazy one: those that are followed. */
  readonly ids: ReadonlySet<string>;
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

class Scene {
  readonly #runtime: ManualRuntime = manualRuntime();
  readonly #backend = scaleDateSkew(new MemoryBackend({ runtime: this.#runtime }), SHORT_GRACES);
  readonly #random: Dice;
  #value = 0;

  constructor(seed: number) {
    this.#random = dice(seed);
  }

  async open(options: StoreOptions<unknown>): Promise<Store<unknown>> {
    const store = new Store<unknown>({ runtime: this.#runtime });
    const backend = this.#backend;
    await store.open("memory", { backend, checkpointThreshold: 9, ...SHORT_GRACES, ...options });
    return store;
  }

  async #follower(name: string, options: StoreOptions<unknown>): Promise<Follower> {
    const store = await this.open(options);
    const ids = new Set(options.skipLoad === true ? RESIDENT : IDS);
    if (options.skipLoad === true) await store.hydrate(ids);
    const copy = new Map(store.entries());
    // From here on it follows; looking is all that the first time does.
    apply(copy, await store.tail());
    return { name, store, copy, ids };
  }

  async run(): Promise<void> {
    const single = await this.open({});
    const other = await this.open({ agentId: "other" });
    const followers = [
      await this.#follower("agent", { agentId: "follower" }),
      await this.#follower("reader", { readOnly: true }),
      await this.#follower("lazy reader", { readOnly: true, skipLoad: true }),
    ];
    const [agent] = followers;
    for (let step = 1; step <= STEPS; step++) {
      const busy: Promise<unknown>[] = [];
      if (this.#random.chance(0.8)) busy.push(this.#write(single));
      if (this.#random.chance(0.5)) busy.push(this.#write(other));
      if (this.#random.chance(0.2)) busy.push(this.#compact());
      for (const follower of followers) {
        if (this.#random.chance(0.3)) busy.push(this.#look(follower, step));
        // Its own writes it knows; while it looks it makes none.
        else if (follower === agent && this.#random.chance(0.4)) busy.push(this.#follow(agent));
      }
      await Promise.all(busy);
      if (this.#random.chance(0.3)) await this.#runtime.advance(this.#random.below(6_000));
    }
    for (const follower of followers) await this.#look(follower, STEPS + 1);
    for (const follower of followers) {
      expect(await follower.store.tail(), `${follower.name} again`).toEqual([]);
    }
    await Promise.all(
      [single, other, ...followers.map(({ store }) => store)].map((s) => s.close()),
    );
  }

  /** A write of the follower's own, which its copy takes in. */
  async #follow({ store, copy }: Follower): Promise<void> {
    const [id] = this.#random.pick(IDS, 1);
    const value = this.#nextValue();
    await store.set(id ?? "a", value);
    copy.set(id ?? "a", value);
  }

  async #look({ name, store, copy, ids }: Follower, step: number): Promise<void> {
    const told = await store.tail();
    const known = new Map([...copy].filter(([id]) => ids.has(id)));
    apply(copy, told);
    const state = `${name} at step ${step}: had ${JSON.stringify([...known])}, told ${JSON.stringify(told)}`;
    const followed = [...copy].filter(([id]) => ids.has(id));
    expect(sorted(followed), state).toEqual(sorted(store.entries()));
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

  async #compact(): Promise<void> {
    const parts = createParts({
      backend: this.#backend,
      location: "memory",
      runtime: this.#runtime,
      settings: resolveSettings(SHORT_GRACES),
      onWarning: (message) => expect.unreachable(message),
      schema: { version: 1, migrate: undefined },
    });
    const compactor = new Compactor({ ...parts, limits: DEFAULT_LIMITS });
    await compactor.pass({ full: this.#random.chance(0.5) });
  }
}

test.each(SEEDS)("what is told is what changed, seed %i", async (seed) => {
  await new Scene(seed).run();
});
