/** A store open in a process, with the oracle looking over its shoulder. */
import {
  ConflictError,
  RecordNotFoundError,
  StoreNotFoundError,
  WriteOutcomeUnknownError,
} from "../../src/core/errors.ts";
import { Store } from "../../src/store/store.ts";
import type { OnceOptions } from "../../src/store/once.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { isOfThird, periodOf } from "./archive-judge.ts";
import { checkExpected, checkWarning } from "./expected.ts";
import { type Doc, hasForm, type PlainDoc } from "./form.ts";
import { compareOps, type Intent, writerName } from "./ledger.ts";
import type { Op } from "./sent-segments.ts";
import type { Mark } from "./mark.ts";
import type { Register } from "./register.ts";
import type { SimProcess } from "./sim-process.ts";
import { Viewer } from "./viewer.ts";
import type { SimMedium, World } from "./world.ts";

/** One operation of a write. */
export type Change = { readonly id: string; readonly record: PlainDoc | undefined };

/** What a store has in common with the others of its process. */
export interface SharedProcess {
  readonly backend: SimMedium;
  /** Where its looks are not its own: what its freshness promises that it sees. */
  readonly mark?: Mark;
  /** They flush together; each has an agent of its own. */
  readonly flushLingerMs?: number;
}

/** What a store was opened on. */
interface OpenedOn {
  readonly mark: Mark;
  readonly writeMark: Mark | undefined;
  /** As the register knows its backend. */
  readonly medium: string;
  /** Its flushes may wait for those of others. */
  readonly lingers: boolean;
}

export class Client extends Viewer {
  readonly isReadOnly: boolean;
  /** As the ledger knows it. */
  readonly #writer: string;
  readonly #medium: string;
  readonly #lingers: boolean;
  /** What writes order above: a stale store looks for itself before its first flush. */
  readonly #writeMark: Mark | undefined;
  /** Acknowledged to this store and not undone, in the order of the calls. */
  readonly #written: Op[] = [];

  /** Undefined when the store could not be opened, for a reason that a caller must expect. */
  static async open(
    world: World,
    process: SimProcess,
    options: StoreOptions<Doc>,
    shared?: SharedProcess,
  ): Promise<Client | undefined> {
    const { archivesInlineMax, lanes } = world.weather;
    const { flushLingerMs } = shared ?? {};
    const store = new Store<Doc>({ runtime: process, flushLingerMs, archivesInlineMax, lanes });
    const mark = shared?.mark ?? world.oracle.mark();
    const isStale = shared?.mark !== undefined;
    const writeMark = isStale ? world.oracle.mark() : undefined;
    const backend = shared?.backend ?? world.backendFor(process);
    const gets = backend.manifestGets;
    try {
      const onWarning = (message: string): void => checkWarning(world, message);
      const schema = schemaOf(world, process);
      const given = { ...world.settingsFor(process), ...schema, backend, onWarning };
      await store.open("simulated", { ...given, ...options });
    } catch (error) {
      if (error instanceof StoreNotFoundError && mark.isEmpty) return undefined;
      checkExpected(world, process, "open", error);
      return undefined;
    }
    // A lazy reader opens by one view and nothing else.
    if (options.skipLoad === true && options.readOnly === true && shared === undefined) {
      world.oracle.counts[backend.manifestGets === 1 ? "fastViews" : "twoStepViews"]++;
    }
    if (isStale && backend.manifestGets === gets) world.oracle.counts.sharedLooks++;
    const lingers = shared?.flushLingerMs !== undefined;
    const medium = world.oracle.register.mediumOf(backend);
    const client = new Client(world, process, store, options, { mark, writeMark, medium, lingers });
    if (!client.isLazy) await client.check();
    return client;
  }

  constructor(
    world: World,
    process: SimProcess,
    store: Store<Doc>,
    { skipLoad = false, readOnly = false, agentId = "" }: StoreOptions<Doc>,
    { mark, writeMark, medium, lingers }: OpenedOn,
  ) {
    super(world, process, store, { mark, isLazy: skipLoad });
    this.isReadOnly = readOnly;
    this.#writer = writerName(process.name, agentId);
    this.#writeMark = writeMark;
    this.#medium = medium;
    this.#lingers = lingers;
  }

  /** Writes some changes in one call; false when it failed. */
  async write(changes: readonly Change[]): Promise<boolean> {
    return this.#commits(intentsOf(changes), () => this.#call(changes));
  }

  #call(changes: readonly Change[]): Promise<void> {
    const act = ({ id, record }: Change): Promise<void> =>
      record === undefined ? this.store.delete(id) : this.store.set(id, this.form(record));
    const [first, ...others] = changes;
    if (first !== undefined && others.length === 0) return act(first);
    return this.store.batch(() => {
      for (const change of changes) void act(change);
    });
  }

  /** @param fresh decided in a view that begins after the call */
  async update(id: string, fresh = true): Promise<boolean> {
    const record = this.world.uniqueRecord(this.process);
    const next = this.form(record);
    const intents = [{ id, text: JSON.stringify(record) }];
    return this.#commits(intents, () => this.store.update(id, () => next, { fresh }), fresh);
  }

  /** @throws as the store's */
  once(key: string, fn: () => Promise<string>, options: OnceOptions): Promise<string> {
    return this.store.once(key, fn, options);
  }

  failed(what: string, error: unknown): void {
    checkExpected(this.world, this.process, what, error);
  }

  /** Replaces a record as it is now, or creates it; deletes it where nothing is given. */
  async writeIf(id: string, record: PlainDoc | undefined): Promise<boolean> {
    return this.#commits([{ id, text: record && JSON.stringify(record) }], async () => {
      const ifVersion = await this.store.versionOf(id);
      if (record !== undefined) {
        const condition = ifVersion === undefined ? { ifAbsent: true } : { ifVersion };
        await this.store.set(id, this.form(record), condition);
      } else if (ifVersion === undefined) throw new RecordNotFoundError(id);
      else await this.store.delete(id, { ifVersion });
    });
  }

  /** Reads some records and writes others in one transaction; false when it failed. */
  async transact(reads: readonly string[], changes: readonly Change[]): Promise<boolean> {
    const { process, world, session } = this;
    const { register } = world.oracle;
    const seen = new Map<string, string | undefined>();
    const invokedMs = register.now();
    const call = (): Promise<void> =>
      this.store.transaction(async (tx) => {
        seen.clear();
        const see = (id: string, record: Doc | undefined): void =>
          void seen.set(id, record && this.textOf(record));
        for (const id of reads) see(id, await tx.get(id));
        if (process.prng.chance(0.2)) await process.sleep(process.prng.between(1, 2_000));
        for (const { id, record } of changes) {
          if (record !== undefined) tx.set(id, this.form(record));
          else if ((await tx.get(id)) === undefined) throw new RecordNotFoundError(id);
          else tx.delete(id);
        }
      });
    const ops =
      changes.length > 0
        ? await this.#commit(intentsOf(changes), call)
        : (await this.attempt("write", call))
          ? []
          : undefined;
    if (ops === undefined) return false;
    register.transacted({ session, invokedMs, reads: seen, ops });
    return true;
  }

  async #commits(
    intents: readonly Intent[],
    call: () => Promise<unknown>,
    isFresh = true,
  ): Promise<boolean> {
    return (await this.#commit(intents, call, isFresh)) !== undefined;
  }

  /** @returns what was written; undefined when it failed */
  async #commit(
    intents: readonly Intent[],
    call: () => Promise<unknown>,
    isFresh = true,
  ): Promise<readonly Op[] | undefined> {
    const { oracle } = this.world;
    const name = this.#writer;
    const from = oracle.ledger.attemptCount(name);
    const mark = this.#writeMark ?? this.mark;
    const ended = this.#begin(intents, from, mark, isFresh);
    try {
      await call();
    } catch (error) {
      const isUnknown = error instanceof WriteOutcomeUnknownError;
      ended(isUnknown ? "unknown" : "nothing");
      oracle.counts.failed++;
      if (isUnknown) oracle.counts.unknown++;
      checkExpected(this.world, this.process, "write", error);
      if (!isUnknown) oracle.rejected(name, from, intents);
      return undefined;
    }
    ended("acknowledged");
    const ops = oracle.acked(name, from, intents, mark);
    this.know(ops);
    // Several calls may share a flush, and so its segment.
    this.#written.push(...ops.filter((op) => !this.#written.includes(op)));
    // A write that made a checkpoint necessary is acknowledged after later ones. The versions of
    // guarded ones do not tell.
    this.#written.sort((a, b) => landedMsOf(a) - landedMsOf(b) || compareOps(a, b));
    return ops;
  }

  #begin(
    intents: readonly Intent[] | undefined,
    from: number,
    { takenMs: viewMs }: Mark,
    isFresh = true,
  ): ReturnType<Register["begin"]> {
    const store = { session: this.session, medium: this.#medium, lingers: this.#lingers };
    const caller = { writer: this.#writer, ...store };
    return this.world.oracle.register.begin({ ...caller, intents, from, viewMs, isFresh });
  }

  /** Takes back its own last operation, where that still counts; false when it failed. */
  async undo(): Promise<boolean> {
    const { oracle } = this.world;
    const name = this.#writer;
    const from = oracle.ledger.attemptCount(name);
    const mark = oracle.mark();
    const ended = this.#begin(undefined, from, this.#writeMark ?? this.mark);
    return this.attempt("undo", async () => {
      const isUndone = await this.store.undo();
      ended("acknowledged");
      const own = this.#written.at(-1);
      if (!isUndone || own === undefined) return;
      this.#written.pop();
      this.know(oracle.undone(name, from, own, mark));
    });
  }

  /** Archives a third of what this store sees; false when it failed. */
  async archive(rest: number): Promise<boolean> {
    const { oracle } = this.world;
    const { name } = this.process;
    const period = periodOf(rest, name, this.world.uniqueRecord(this.process).n);
    const mark = oracle.mark();
    try {
      const count = await this.store.archive(({ n }) => isOfThird(n, rest), period);
      this.mark = mark;
      const archived = oracle.archived(name, period, count);
      oracle.register.archived(archived, this.session, mark.takenMs);
      this.know(archived);
      return true;
    } catch (error) {
      oracle.archived(name, period, undefined);
      if (!(error instanceof ConflictError)) {
        checkExpected(this.world, this.process, "archive", error);
      }
      return false;
    }
  }

  async compact(): Promise<boolean> {
    return this.attempt("compact", () => this.store.compact());
  }

  async close(): Promise<void> {
    await this.attempt("close", () => this.store.close());
  }
}

function intentsOf(changes: readonly Change[]): Intent[] {
  return changes.map(({ id, record }) => ({ id, text: record && JSON.stringify(record) }));
}

function landedMsOf({ segment }: Op): number {
  return segment.landedMs ?? Infinity;
}

/** The program's own version, and how it takes older records. */
function schemaOf(
  { oracle }: World,
  { schema, name }: SimProcess,
): Pick<StoreOptions<Doc>, "version" | "migrate"> {
  if (schema === 1) return { version: 1 };
  const migrate = (record: unknown, from: number): Doc => {
    const text = JSON.stringify(record);
    oracle.counts.migrated++;
    if (from !== 1 || !hasForm(text, 1)) {
      oracle.fail("SCHEMA", `${name} is to migrate ${text} from version ${from}`);
    }
    return { ...JSON.parse(text), schema: 2 };
  };
  return { version: 2, migrate };
}
