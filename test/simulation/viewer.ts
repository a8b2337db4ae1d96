/** What a store shows, judged: reads, scans, streams, followers, archives. */
import type { Store } from "../../src/store/store.ts";
import { checkExpected } from "./expected.ts";
import { type Doc, hasForm, inForm, type PlainDoc, plainText } from "./form.ts";
import { raise } from "./ledger.ts";
import type { Op } from "./sent-segments.ts";
import type { Mark } from "./mark.ts";
import type { SimProcess } from "./sim-process.ts";
import type { Seen } from "./view-judge.ts";
import { IDS, type World } from "./world.ts";

/** The part of an open store that looks. */
export class Viewer {
  readonly process: SimProcess;
  protected readonly world: World;
  protected readonly store: Store<Doc>;
  protected readonly isLazy: boolean;
  /** As the register knows this store. */
  protected readonly session: string;
  protected mark: Mark;
  /** Acknowledged to this store since its last look. */
  protected readonly own = new Map<string, Op>();

  constructor(
    world: World,
    process: SimProcess,
    store: Store<Doc>,
    { mark, isLazy }: { readonly mark: Mark; readonly isLazy: boolean },
  ) {
    this.world = world;
    this.process = process;
    this.store = store;
    this.isLazy = isLazy;
    this.session = world.uniqueSession(process);
    this.mark = mark;
  }

  /** Every record, one after the other; each as a point read may see it. */
  async scan(): Promise<void> {
    const { oracle } = this.world;
    const least = this.leastSeen();
    const seen = new Map<string, string>();
    await this.attempt("scan", async () => {
      let before = "";
      for await (const [id, record] of this.store.scan()) {
        if (id <= before) oracle.fail("SCAN", `${id} is given after ${before}`);
        before = id;
        seen.set(id, this.textOf(record));
      }
      // A scan may go over to a newer manifest on its way: batches need not be whole.
      for (const id of IDS) oracle.checkView(this.process.name, [id], seen, least);
      oracle.counts.scans++;
    });
  }

  /** What a follower has when it begins. */
  copy(): Map<string, string> {
    return new Map(this.store.entries().map(([id, record]) => [id, this.textOf(record)]));
  }

  /** T4: what `tail` tells, applied to what the follower had, is what the store holds. */
  async follow(had: Map<string, string>): Promise<boolean> {
    const { oracle } = this.world;
    const mark = oracle.mark();
    return this.attempt("tail", async () => {
      for (const { op, id, data } of await this.store.tail()) {
        if (op === "set" && data !== undefined) had.set(id, this.textOf(data));
        else had.delete(id);
      }
      this.mark = mark;
      oracle.counts.followed++;
      const holds = this.copy();
      for (const id of IDS.filter((one) => had.get(one) !== holds.get(one))) {
        const found = `${this.process.name} was told ${id}=${had.get(id)}, holds ${holds.get(id)}`;
        oracle.fail("FOLLOWER", found);
      }
    });
  }

  /** Where nothing need be in memory: a copy of every record, as of about now. */
  async lazyCopy(): Promise<Map<string, string> | undefined> {
    const copy = new Map<string, string>();
    const isRead = await this.attempt("scan", async () => {
      for await (const [id, record] of this.store.scan()) copy.set(id, this.textOf(record));
    });
    return isRead ? copy : undefined;
  }

  /**
   * T4 for a store without its records in memory: what was told leads to what a reader may see who
   * looked when `tail` was called.
   * @returns "expired": from now on it is told again, but not what came before
   */
  async followLazily(had: Map<string, string> | undefined): Promise<"told" | "expired" | "failed"> {
    const { oracle } = this.world;
    const mark = oracle.mark();
    const { followersExpired } = oracle.counts;
    const isTold = await this.attempt("tail of a lazy store", async () => {
      const told = await this.store.tail();
      if (had === undefined) return;
      for (const { op, id, data } of told) {
        if (op === "set" && data !== undefined) had.set(id, this.textOf(data));
        else had.delete(id);
      }
      const { name } = this.process;
      oracle.counts.followedLazily++;
      // What is told may come from a newer view than the copy: batches need not be whole.
      for (const id of IDS) oracle.followers.check(name, [id], had, mark.least);
      oracle.checkExact(name, mark, IDS, had, oracle.followers);
    });
    if (isTold) return "told";
    return oracle.counts.followersExpired > followersExpired ? "expired" : "failed";
  }

  /**
   * S1 to S3: the snapshot and the operations that come after it, applied in their order, hold
   * whatever was acknowledged before those were asked for.
   */
  async stream(between: () => Promise<void>): Promise<boolean> {
    const { oracle } = this.world;
    const { name, prng } = this.process;
    const had = new Map<string, string>();
    const pause = async (): Promise<void> => {
      if (prng.chance(0.1)) await this.process.sleep(prng.between(1, 5_000));
    };
    return this.attempt("stream", async () => {
      for await (const [id, record] of this.store.streamSnapshot()) {
        had.set(id, this.textOf(record));
        await pause();
      }
      await between();
      const mark = oracle.mark();
      for await (const { op, id, data } of this.store.getWalOps()) {
        if (op === "set" && data !== undefined) had.set(id, this.textOf(data));
        else had.delete(id);
        await pause();
      }
      oracle.counts.streams++;
      // What is compacted on the way may be told in part: batches need not be whole.
      for (const id of IDS) oracle.checkView(name, [id], had, mark.least);
      oracle.checkExact(name, mark, IDS, had);
    });
  }

  /** Every archive, as this store finds it after a refresh, is what the objects hold. */
  async checkArchives(): Promise<boolean> {
    const { truth } = this.world.oracle;
    return this.attempt("archives", async () => {
      const archive = truth.archives();
      const names = archive.map(({ period }) => `archive/archive-${period}.json`).toSorted();
      const found = this.store.listArchiveSegments();
      if (found.join() !== names.join()) {
        this.world.oracle.fail("DIVERGED", `${this.process.name} lists ${found.join()}`);
      }
      for (const info of archive) {
        const records = await this.store.loadArchive(info.period);
        const seen = [...records].map(([id, record]) => `${id}=${this.textOf(record)}`);
        const expected = [...truth.archived(info)].map(([id, { text }]) => `${id}=${text}`);
        if (seen.join() === expected.join()) continue;
        this.world.oracle.fail(
          "DIVERGED",
          `${this.process.name} finds ${seen.join()} in ${info.path}`,
        );
      }
    });
  }

  /** Picks up what others wrote; false when it failed. */
  async refresh(): Promise<boolean> {
    const mark = this.world.oracle.mark();
    if (!(await this.attempt("refresh", () => this.store.refresh()))) return false;
    this.mark = mark;
    return true;
  }

  /** Reads `ids` in one call and has the oracle judge what it sees; undefined when it failed. */
  async check(ids: readonly string[] = IDS): Promise<Seen | undefined> {
    const seen = new Map<string, string>();
    // What is acknowledged while this reads need not be seen, but what was before it must.
    const least = this.leastSeen();
    const mark = this.mark;
    const { oracle } = this.world;
    const look = { session: this.session, invokedMs: oracle.register.now(), viewMs: mark.takenMs };
    if (this.isLazy) {
      const isRead = await this.attempt("read", async () => {
        for (const [id, record] of await this.store.readMany(ids)) {
          seen.set(id, this.textOf(record));
        }
      });
      if (!isRead) return undefined;
    } else {
      for (const id of ids) {
        const record = this.store.get(id);
        if (record !== undefined) seen.set(id, this.textOf(record));
      }
    }
    oracle.register.read(ids, seen, look);
    oracle.checkView(this.process.name, ids, seen, least);
    oracle.checkExact(this.process.name, mark, ids, seen);
    return seen;
  }

  /** As the oracle knows it. A record of another version than this program's is never handed out. */
  protected textOf(record: Doc): string {
    const text = JSON.stringify(record);
    const { schema, name } = this.process;
    if (!hasForm(text, schema)) {
      this.world.oracle.fail("SCHEMA", `${name}, of version ${schema}, is handed ${text}`);
    }
    return plainText(text);
  }

  protected async attempt(what: string, call: () => Promise<void>): Promise<boolean> {
    try {
      await call();
      return true;
    } catch (error) {
      checkExpected(this.world, this.process, what, error);
      return false;
    }
  }

  protected leastSeen(): Map<string, Op> {
    const least = new Map(this.mark.least);
    for (const op of this.own.values()) raise(least, op);
    return least;
  }

  /** From now on this store must see these, or what is above them. */
  protected know(ops: readonly Op[]): void {
    for (const op of ops) raise(this.own, op);
  }

  protected form(record: PlainDoc): Doc {
    return inForm(record, this.process.schema);
  }
}
