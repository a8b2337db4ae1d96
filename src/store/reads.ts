/** The synchronous reads: what is in memory, handed out so that it cannot be changed by accident. */
import { describeValue } from "../core/describe.ts";
import { InvalidArgumentError, NotHydratedError, StoreNotFoundError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import { isHidden } from "../core/hidden.ts";
import { checkId, deepFreeze } from "../core/record.ts";
import type { Candidate } from "./archive.ts";
import type { VersionToken } from "../format/version-token.ts";
import { loadArchive } from "../read/archives.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import { ViewLimit } from "../view/view.ts";
import { checkFreshness, type Freshness } from "../view/freshness.ts";
import type { Session } from "../session/session.ts";
import { tokenOf } from "./tokens.ts";

/** Options of a read. */
export interface ReadOptions {
  /** Default: the store's own; a "strong" store answers as of its last look unless this says "strong". */
  readonly freshness?: Freshness | undefined;
}

export class ResidentReads<T> {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** @throws NotHydratedError under `strictHydration`, as all of them */
  get(id: string): T | undefined {
    this.#checkReadable(id);
    return this.handOut(this.#session.records.visible.get(id));
  }

  has(id: string): boolean {
    this.#checkReadable(id);
    return this.#session.records.visible.has(id);
  }

  entries(): [string, T][] {
    this.#checkComplete();
    return [...this.#session.records.visible].map(([id, value]) => [id, this.record(value)]);
  }

  filter(predicate: (value: T, id: string) => boolean): T[] {
    return this.entries().flatMap(([id, value]) => (predicate(value, id) ? [value] : []));
  }

  count(predicate?: (value: T, id: string) => boolean): number {
    this.#checkComplete();
    if (predicate === undefined) return this.#session.records.visible.size;
    return this.filter(predicate).length;
  }

  /** Makes ids resident; without any, everything. */
  async hydrate(ids: Iterable<string> | undefined): Promise<void> {
    if (ids === undefined) await this.#session.loadAll();
    else await this.#session.lookup([...ids].map(checkId));
  }

  /** Makes ids resident, then reads them. */
  async readMany(ids: Iterable<string>, { freshness }: ReadOptions = {}): Promise<Map<string, T>> {
    const wanted = [...ids].map(checkId);
    const required = freshness === undefined ? undefined : checkFreshness(freshness);
    await this.#session.lookup(wanted, required);
    const found = new Map<string, T>();
    for (const id of wanted) {
      const value = this.#session.records.visible.get(id);
      if (value !== undefined) found.set(id, this.record(value));
    }
    return found;
  }

  /** Of the durable record: what is written has no version before its flush. */
  async versionOf(id: string, { freshness }: ReadOptions = {}): Promise<VersionToken | undefined> {
    const session = this.#session;
    const wanted = [checkId(id)];
    const required = freshness === undefined ? undefined : checkFreshness(freshness);
    await session.lookup(wanted, required);
    if (session.records.isStaged(id)) await session.flush();
    if (!session.replica.isResident(id)) await session.lookup(wanted);
    const entry = session.records.durable(id);
    if (entry?.value === undefined || isHidden(id)) return undefined;
    return tokenOf(session, id, entry.version);
  }

  /** Returns what a predicate can choose from now; the predicate is called when its answers are needed. */
  chooser(predicate: (value: T, id: string) => boolean): () => Candidate[] {
    if (typeof predicate !== "function") {
      const found = describeValue(predicate);
      throw new InvalidArgumentError(`archive: expected a predicate function, found ${found}`);
    }
    this.#checkComplete();
    return () => this.entries().map(([id, value]) => ({ id, matches: () => predicate(value, id) }));
  }

  /** If this store has not seen the archive yet, it looks for it. */
  async loadArchive(segment: string): Promise<Map<string, T>> {
    let records = await this.#archive(segment);
    if (records === undefined) {
      await this.#session.refresh();
      records = await this.#archive(segment);
    }
    if (records === undefined)
      throw new StoreNotFoundError(`Archive segment '${segment}' not found`);
    return new Map([...records].map(([id, value]) => [id, this.record(value)]));
  }

  /** V4 */
  async #archive(segment: string): Promise<Map<string, unknown> | undefined> {
    const { engine, replica } = this.#session;
    const limit = new ViewLimit();
    for (;;) {
      limit.begin();
      const { view } = replica;
      try {
        return await loadArchive(engine, view, segment);
      } catch (error) {
        if (!(error instanceof RunGoneError)) throw error;
        await this.#session.refresh();
        if (replica.view.loaded.etag === view.loaded.etag) throw error.asDamage();
      }
    }
  }

  /** They carry records: frozen like those. */
  operations(found: Operation<T>[]): Operation<T>[] {
    return this.#session.options.freezeRecords ? found.map((one) => deepFreeze(one)) : found;
  }

  handOut(value: unknown): T | undefined {
    return value === undefined ? undefined : this.record(value);
  }

  /** The one place where stored JSON becomes the caller's type: its word for what it wrote. */
  record(value: unknown): T {
    return (this.#session.options.freezeRecords ? deepFreeze(value) : value) as T;
  }

  #checkReadable(id: string): void {
    const { options, replica } = this.#session;
    if (!options.strictHydration || replica.isReadable(id)) return;
    throw new NotHydratedError(
      `Record '${id}' is not resident: use await store.read(id), or hydrate it first`,
      { id },
    );
  }

  #checkComplete(): void {
    const { options, replica } = this.#session;
    if (!options.strictHydration || replica.complete) return;
    throw new NotHydratedError(
      "Not every record is resident: use await store.hydrate() first, or store.readMany(ids)",
    );
  }
}
