/**
 * Moves records into an archive (PROTOCOL, A1 to A6): chooses them in memory, takes them as they
 * are stored, publishes archive and tombstones at once, and starts again whenever another was
 * faster. The caller ensures that this store writes nothing meanwhile.
 */
import {
  type PreparedArchive,
  prepareArchive,
  publishArchive,
} from "../compaction/archive-pass.ts";
import {
  ConflictError,
  CorruptionError,
  InvalidArgumentError,
  LockedError,
  WriteOutcomeUnknownError,
} from "../core/errors.ts";
import { isPromise } from "../core/realm.ts";
import {
  ABSENT,
  compareVersions,
  ResidentEntry,
  revisionOf,
  type RunEntry,
  type Version,
} from "../core/version.ts";
import { COMPACT_LEASE_PATH, MANIFEST_PATH } from "../format/paths.ts";
import { Lease } from "../storage/lease.ts";
import type { ArchiveInfo } from "../format/archive-list.ts";
import type { LoadedManifest, ManifestStore } from "../view/manifest-store.ts";
import { gather } from "../read/load-records.ts";
import { migrateRecord, UNMIGRATED } from "../core/schema.ts";
import type { Session } from "../session/session.ts";

/** A record that synchronous reads see now. */
export interface Candidate {
  readonly id: string;
  /** Asks the caller's predicate. */
  readonly matches: () => unknown;
}

export interface ArchiveCall {
  readonly period: string;
  readonly candidates: () => readonly Candidate[];
}

interface Decision {
  readonly entry: ResidentEntry;
  readonly isChosen: boolean;
}

/** How often another may publish first. */
const ATTEMPTS_MAX = 20;
/** Between two looks at a lease that another holds. */
const PAUSE_MS_FIRST = 50;
const PAUSE_MS_MAX = 1_000;
/** A lease left by a dead holder ends by dates that may be whole seconds. */
const LEASE_GRAIN_MS = 2_000;

export class Archiver {
  readonly #session: Session;
  readonly #call: ArchiveCall;
  /** The predicate is called once for each version of a record. */
  readonly #decisions = new Map<string, Decision>();
  /** Sent to be published, with an outcome that is not known: any of them may land yet. */
  #sent: PreparedArchive[] = [];

  constructor(session: Session, call: ArchiveCall) {
    this.#session = session;
    this.#call = call;
  }

  /** To be called once. @returns how many records were archived */
  async run(): Promise<number> {
    const session = this.#session;
    await session.writes.flush();
    await session.refresh();
    if (this.#choose().size === 0) return 0;
    // With an empty log the count of records stays right. It also upgrades legacy stores.
    if (session.replica.view.legacy === undefined) await session.checkpoints.compactOrWarn();
    const archived = await this.#archive();
    if (archived > 0) await this.#checkpoint();
    return archived;
  }

  async #archive(): Promise<number> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      try {
        if (this.#session.replica.view.legacy !== undefined)
          await this.#session.checkpoints.compact();
        const archived = await this.#underLease((lease) => this.#attempt(lease));
        if (archived !== undefined) return archived;
      } catch (error) {
        if (!this.#isInDoubt) throw error;
        throw this.#unknown(error);
      }
    }
    if (this.#isInDoubt) throw this.#unknown();
    throw new ConflictError(
      `archive: others published first ${ATTEMPTS_MAX} times in a row; nothing was archived`,
      { path: MANIFEST_PATH },
    );
  }

  async #underLease<R>(work: (lease: Lease) => Promise<R>): Promise<R> {
    const lease = await this.#takeLease();
    try {
      return await work(lease);
    } finally {
      await lease.release().catch((error: unknown) => {
        const { onWarning } = this.#session.options;
        onWarning(`${COMPACT_LEASE_PATH} could not be released: ${String(error)}`);
      });
    }
  }

  /** @throws LockedError when another holds it for as long as a dead one could */
  async #takeLease(): Promise<Lease> {
    const { backend, runtime, settings } = this.#session.engine;
    const options = { path: COMPACT_LEASE_PATH, ttlMs: settings.leaseTtlMs };
    const waitMsMax = settings.leaseTtlMs + LEASE_GRAIN_MS;
    let pauseMs = PAUSE_MS_FIRST;
    for (let waitedMs = 0; waitedMs <= waitMsMax; waitedMs += pauseMs) {
      if (waitedMs > 0) pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX);
      const lease = await Lease.take(backend, runtime, options);
      if (lease !== undefined) return lease;
      await runtime.sleep(pauseMs);
    }
    throw new LockedError(
      `archive: another compactor has held ${COMPACT_LEASE_PATH} for more than ${waitMsMax} ms; try again`,
      { path: COMPACT_LEASE_PATH },
    );
  }

  /** Undefined: something came in between, look again. */
  async #attempt(lease: Lease): Promise<number | undefined> {
    const session = this.#session;
    await session.refresh();
    const landed = await this.#settleSent();
    if (landed === "overtaken") return undefined;
    if (landed !== undefined) return landed.archive.records;
    if (session.replica.view.legacy !== undefined) return undefined;
    const chosen = this.#choose();
    if (chosen.size === 0) return this.#isInDoubt ? undefined : 0;
    const stored = await this.#takeStored(chosen);
    if (stored === undefined) return undefined;
    await session.checkWriter();
    const prepared = await prepareArchive(session.engine, { ...stored, period: this.#call.period });
    if (prepared === undefined || lease.lost) return undefined;
    if (!(await this.#publish(prepared))) return undefined;
    // Before any look that may fail: a caller that awaits this must not see them any more.
    for (const { id, version, schemaVersion } of stored.records) {
      session.records.merge(id, new ResidentEntry(version, schemaVersion, undefined));
    }
    return stored.records.length;
  }

  /** The visible records that the predicate accepts. */
  #choose(): Map<string, ResidentEntry> {
    const { records } = this.#session;
    const chosen = new Map<string, ResidentEntry>();
    for (const { id, matches } of this.#call.candidates()) {
      const entry = records.durable(id);
      if (entry === undefined || records.isStaged(id)) continue;
      const before = this.#decisions.get(id);
      const isKnown = before !== undefined && isSame(before.entry, entry);
      const isChosen = isKnown ? before.isChosen : decide(matches);
      this.#decisions.set(id, { entry, isChosen });
      if (isChosen) chosen.set(id, entry);
    }
    return chosen;
  }

  /** Undefined: a record is not the one that the predicate saw any more. */
  async #takeStored(
    chosen: ReadonlyMap<string, ResidentEntry>,
  ): Promise<{ loaded: LoadedManifest; records: RunEntry[] } | undefined> {
    const { engine, options, replica } = this.#session;
    const view = replica.viewWithOwn;
    const onCorrupt = (error: CorruptionError): void => {
      if (options.onCorrupt === "throw") throw error;
      options.onWarning(`skipped what cannot be read: ${error.message}`);
    };
    const gathered = await gather(
      { ...engine, schema: UNMIGRATED },
      {
        view,
        wanted: new Set(chosen.keys()),
        merged: new Set(),
        onCorrupt,
      },
    );
    const records: RunEntry[] = [];
    for (const [id, seen] of chosen) {
      const { version, schemaVersion, value, text } = gathered.entries.get(id) ?? ABSENT;
      const migrated = migrateRecord(engine.schema, id, value, schemaVersion);
      if (!isSame(seen, new ResidentEntry(version, schemaVersion, migrated))) return undefined;
      records.push({ id, version, schemaVersion, text });
    }
    return { loaded: gathered.view.loaded, records };
  }

  async #publish(prepared: PreparedArchive): Promise<boolean> {
    this.#sent.push(prepared);
    try {
      const published = await publishArchive(this.#session.engine, prepared);
      if (published !== undefined) this.#sent = [];
      return published !== undefined;
    } catch (error) {
      // The next look shows it. Every other error means that nothing was written.
      if (error instanceof WriteOutcomeUnknownError) return false;
      this.#sent.pop();
      throw error;
    }
  }

  /** After a look: what of it has landed. What a newer manifest does not name never will. */
  async #settleSent(): Promise<PreparedArchive | "overtaken" | undefined> {
    if (!this.#isInDoubt) return undefined;
    const { engine, replica } = this.#session;
    const named = await namedArchives(engine.manifests, replica.view.loaded);
    if (named === "overtaken") return named;
    const { etag } = replica.view.loaded;
    const paths = new Set(named.map(({ path }) => path));
    const landed = this.#sent.find(({ archive }) => paths.has(archive.path));
    this.#sent =
      landed === undefined ? this.#sent.filter(({ loaded }) => loaded.etag === etag) : [];
    return landed;
  }

  get #isInDoubt(): boolean {
    return this.#sent.length > 0;
  }

  #unknown(cause?: unknown): WriteOutcomeUnknownError {
    const paths = this.#sent.map(({ archive }) => archive.path).join(", ");
    return new WriteOutcomeUnknownError(
      `archive: ${paths} may have been published, or may still be; refresh and look`,
      { path: MANIFEST_PATH, cause },
    );
  }

  /** The records are archived: whatever fails now is a warning. */
  async #checkpoint(): Promise<void> {
    const session = this.#session;
    try {
      await session.refresh();
      if (session.operationCount > 0) await session.checkpoints.compactOrWarn();
    } catch (error) {
      session.options.onWarning(`archived, but the store could not look again: ${String(error)}`);
    }
  }
}

/** All archives of a manifest. @throws CorruptionError */
async function namedArchives(
  manifests: ManifestStore,
  loaded: LoadedManifest,
): Promise<readonly ArchiveInfo[] | "overtaken"> {
  const unread: Error[] = [];
  const opened = await manifests.openArchives(loaded, (error) => void unread.push(error));
  const damage = unread.find((error) => error instanceof CorruptionError);
  if (damage !== undefined) throw damage;
  if (unread.length > 0) return "overtaken";
  const { archive, listedArchives } = opened.manifest;
  return [...listedArchives.lists.flatMap(({ content = [] }) => content), ...archive];
}

/** At one version there is one record, except where two processes are clones of one. */
function isSame(a: ResidentEntry, b: ResidentEntry): boolean {
  return a === b || (isOfOneWrite(a.version, b.version) && a.text === b.text);
}

/** At clock 0 `w` is a part of a legacy snapshot: memory from before the upgrade lacks it. */
function isOfOneWrite(a: Version, b: Version): boolean {
  if (compareVersions(a, b) === 0) return true;
  return a.clock === 0 && b.clock === 0 && revisionOf(a) === revisionOf(b);
}

/** @throws InvalidArgumentError for an async predicate */
function decide(matches: () => unknown): boolean {
  const answer = matches();
  if (!isPromise(answer)) return Boolean(answer);
  answer.catch(() => undefined); // Its own rejection would hide the reason given here.
  throw new InvalidArgumentError("archive needs a synchronous predicate");
}
