/** A store open in a process, with the oracle looking over its shoulder. */
import {
  ConflictError,
  StoreNotFoundError,
  WriteOutcomeUnknownError,
} from "../../src/core/errors.ts";
import { Store } from "../../src/store/store.ts";
import type { StoreOptions } from "../../src/store/options.ts";
import { isOfThird, periodOf } from "./archive-judge.ts";
import { checkExpected, checkWarning } from "./expected.ts";
import { type Intent, type Op, raise } from "./ledger.ts";
import type { Mark } from "./oracle.ts";
import type { SimProcess } from "./sim-process.ts";
import type { Seen } from "./view-judge.ts";
import { IDS, SETTINGS, type SimMedium, type World } from "./world.ts";

type Doc = { readonly by: string; readonly n: number };

/** One operation of a write. */
export type Change = { readonly id: string; readonly record: Doc | undefined };

/** For a store whose looks are not its own. */
export interface StaleOptions {
  /** Shared by the stores of a process. */
  readonly backend: SimMedium;
  /** What its freshness promises that it sees. */
  readonly mark: Mark;
}

export class Client {
  readonly process: SimProcess;
  readonly isReadOnly: boolean;
  readonly #world: World;
  readonly #store: Store<Doc>;
  readonly #isLazy: boolean;
  #mark: Mark;
  /** What writes order above: a stale store looks for itself before its first flush. */
  readonly #writeMark: Mark | undefined;
  /** Acknowledged to this store since its last look. */
  readonly #own = new Map<string, Op>();
  /** Acknowledged to this store and not undone, in their order. */
  readonly #written: Op[] = [];

  /** Undefined when the store could not be opened, for a reason that a caller must expect. */
  static async open(
    world: World,
    process: SimProcess,
    options: StoreOptions<Doc>,
    stale?: StaleOptions,
  ): Promise<Client | undefined> {
    const store = new Store<Doc>({ runtime: process });
    const mark = stale?.mark ?? world.oracle.mark();
    const writeMark = stale === undefined ? undefined : world.oracle.mark();
    const backend = stale?.backend ?? world.backendFor(process);
    const gets = backend.manifestGets;
    try {
      const onWarning = (message: string): void => checkWarning(world, message);
      await store.open("simulated", { ...SETTINGS, backend, onWarning, ...options });
    } catch (error) {
      if (error instanceof StoreNotFoundError && mark.isEmpty) return undefined;
      checkExpected(world, process, "open", error);
      return undefined;
    }
    // A lazy reader opens by one view and nothing else.
    if (options.skipLoad === true && options.readOnly === true && stale === undefined) {
      world.oracle.counts[backend.manifestGets === 1 ? "fastViews" : "twoStepViews"]++;
    }
    if (stale !== undefined && backend.manifestGets === gets) world.oracle.counts.sharedLooks++;
    const client = new Client(world, process, store, options, mark, writeMark);
    if (!client.#isLazy) await client.check();
    return client;
  }

  constructor(
    world: World,
    process: SimProcess,
    store: Store<Doc>,
    { skipLoad = false, readOnly = false }: StoreOptions<Doc>,
    mark: Mark,
    writeMark?: Mark,
  ) {
    this.#world = world;
    this.process = process;
    this.#store = store;
    this.#isLazy = skipLoad;
    this.isReadOnly = readOnly;
    this.#mark = mark;
    this.#writeMark = writeMark;
  }

  /** Writes some changes in one call; false when it failed. */
  async write(changes: readonly Change[]): Promise<boolean> {
    return this.#commit(
      changes.map(({ id, record }) => ({ id, text: textOf(record) })),
      () => this.#call(changes),
    );
  }

  #call(changes: readonly Change[]): Promise<void> {
    const act = ({ id, record }: Change): Promise<void> =>
      record === undefined ? this.#store.delete(id) : this.#store.set(id, record);
    const [first, ...others] = changes;
    if (first !== undefined && others.length === 0) return act(first);
    return this.#store.batch(() => {
      for (const change of changes) void act(change);
    });
  }

  async update(id: string): Promise<boolean> {
    const record = this.#world.uniqueRecord(this.process);
    return this.#commit([{ id, text: textOf(record) }], () => this.#store.update(id, () => record));
  }

  async #commit(intents: readonly Intent[], call: () => Promise<void>): Promise<boolean> {
    const { oracle } = this.#world;
    const { name } = this.process;
    const from = oracle.ledger.attemptCount(name);
    const mark = this.#writeMark ?? this.#mark;
    try {
      await call();
    } catch (error) {
      oracle.counts.failed++;
      if (error instanceof WriteOutcomeUnknownError) oracle.counts.unknown++;
      checkExpected(this.#world, this.process, "write", error);
      if (!(error instanceof WriteOutcomeUnknownError)) oracle.rejected(name, from, intents);
      return false;
    }
    const ops = oracle.acked(name, from, intents, mark);
    this.#know(ops);
    // Several calls may share a flush, and so its segment.
    this.#written.push(...ops.filter((op) => !this.#written.includes(op)));
    return true;
  }

  /** From now on this store must see these, or what is above them. */
  #know(ops: readonly Op[]): void {
    for (const op of ops) raise(this.#own, op);
  }

  /** Takes back its own last operation, where that still counts; false when it failed. */
  async undo(): Promise<boolean> {
    const { oracle } = this.#world;
    const { name } = this.process;
    const from = oracle.ledger.attemptCount(name);
    const mark = oracle.mark();
    return this.#try("undo", async () => {
      const isUndone = await this.#store.undo();
      const own = this.#written.at(-1);
      if (!isUndone || own === undefined) return;
      this.#written.pop();
      this.#know(oracle.undone(name, from, own, mark));
    });
  }

  /** Every record, one after the other; each as a point read may see it. */
  async scan(): Promise<void> {
    const { oracle } = this.#world;
    const least = this.#leastSeen();
    const seen = new Map<string, string>();
    await this.#try("scan", async () => {
      let before = "";
      for await (const [id, record] of this.#store.scan()) {
        if (id <= before) oracle.fail("SCAN", `${id} is given after ${before}`);
        before = id;
        seen.set(id, textOf(record));
      }
      // A scan may go over to a newer manifest on its way: batches need not be whole.
      for (const id of IDS) oracle.checkView(this.process.name, [id], seen, least);
      oracle.counts.scans++;
    });
  }

  /** What a follower has when it begins. */
  copy(): Map<string, string> {
    return new Map(this.#store.entries().map(([id, record]) => [id, textOf(record)]));
  }

  /** T4: what `tail` tells, applied to what the follower had, is what the store holds. */
  async follow(had: Map<string, string>): Promise<boolean> {
    const { oracle } = this.#world;
    const mark = oracle.mark();
    return this.#try("tail", async () => {
      for (const { op, id, data } of await this.#store.tail()) {
        if (op === "set" && data !== undefined) had.set(id, textOf(data));
        else had.delete(id);
      }
      this.#mark = mark;
      oracle.counts.followed++;
      const holds = this.copy();
      for (const id of IDS.filter((one) => had.get(one) !== holds.get(one))) {
        const found = `${this.process.name} was told ${id}=${had.get(id)}, holds ${holds.get(id)}`;
        oracle.fail("FOLLOWER", found);
      }
    });
  }

  /** Archives a third of what this store sees; false when it failed. */
  async archive(rest: number): Promise<boolean> {
    const { oracle } = this.#world;
    const { name } = this.process;
    const period = periodOf(rest, name, this.#world.uniqueRecord(this.process).n);
    const mark = oracle.mark();
    try {
      const count = await this.#store.archive(({ n }) => isOfThird(n, rest), period);
      this.#mark = mark;
      this.#know(oracle.archived(name, period, count));
      return true;
    } catch (error) {
      oracle.archived(name, period, undefined);
      if (!(error instanceof ConflictError)) {
        checkExpected(this.#world, this.process, "archive", error);
      }
      return false;
    }
  }

  /** Every archive, as this store finds it after a refresh, is what the objects hold. */
  async checkArchives(): Promise<boolean> {
    const { truth } = this.#world.oracle;
    return this.#try("archives", async () => {
      const { archive } = truth.manifest();
      const names = archive.map(({ period }) => `archive/archive-${period}.json`).toSorted();
      const found = this.#store.listArchiveSegments();
      if (found.join() !== names.join()) {
        this.#world.oracle.fail("DIVERGED", `${this.process.name} lists ${found.join()}`);
      }
      for (const info of archive) {
        const records = await this.#store.loadArchive(info.period);
        const seen = [...records].map(([id, record]) => `${id}=${textOf(record)}`);
        const expected = [...truth.archived(info)].map(([id, { text }]) => `${id}=${text}`);
        if (seen.join() === expected.join()) continue;
        this.#world.oracle.fail(
          "DIVERGED",
          `${this.process.name} finds ${seen.join()} in ${info.path}`,
        );
      }
    });
  }

  /** Picks up what others wrote; false when it failed. */
  async refresh(): Promise<boolean> {
    const mark = this.#world.oracle.mark();
    if (!(await this.#try("refresh", () => this.#store.refresh()))) return false;
    this.#mark = mark;
    return true;
  }

  async compact(): Promise<boolean> {
    return this.#try("compact", () => this.#store.compact());
  }

  async close(): Promise<void> {
    await this.#try("close", () => this.#store.close());
  }

  /** Reads `ids` in one call and has the oracle judge what it sees; undefined when it failed. */
  async check(ids: readonly string[] = IDS): Promise<Seen | undefined> {
    const seen = new Map<string, string>();
    // What is acknowledged while this reads need not be seen, but what was before it must.
    const least = this.#leastSeen();
    const mark = this.#mark;
    const { oracle } = this.#world;
    if (this.#isLazy) {
      const isRead = await this.#try("read", async () => {
        for (const [id, record] of await this.#store.readMany(ids)) seen.set(id, textOf(record));
      });
      if (!isRead) return undefined;
    } else {
      for (const id of ids) {
        const record = this.#store.get(id);
        if (record !== undefined) seen.set(id, textOf(record));
      }
    }
    oracle.checkView(this.process.name, ids, seen, least);
    oracle.checkExact(this.process.name, mark, ids, seen);
    return seen;
  }

  #leastSeen(): Map<string, Op> {
    const least = new Map(this.#mark.least);
    for (const op of this.#own.values()) raise(least, op);
    return least;
  }

  async #try(what: string, call: () => Promise<void>): Promise<boolean> {
    try {
      await call();
      return true;
    } catch (error) {
      checkExpected(this.#world, this.process, what, error);
      return false;
    }
  }
}

function textOf(record: Doc): string;
function textOf(record: Doc | undefined): string | undefined;
function textOf(record: Doc | undefined): string | undefined {
  return record === undefined ? undefined : JSON.stringify(record);
}
