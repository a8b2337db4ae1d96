/**
 * Builds and writes one flush: brings the view up to date, takes the clocks, sends the segment, and
 * makes memory agree with what became durable (PROTOCOL, W2 to W5, and H3 to H6 of its time).
 */
import { RecordNotFoundError, WriteOutcomeUnknownError } from "../core/errors.ts";
import type { TakenClocks } from "../core/hybrid-clock.ts";
import type { LogOperation } from "../core/operation.ts";
import { DATE_SKEW_MS, lagMsMax } from "../core/settings.ts";
import type { LogWriter, WrittenSegment } from "../log/log.ts";
import type { Engine } from "../engine/engine.ts";
import { ResidentEntry, type Version } from "../core/version.ts";
import { encodeOperation, versionOf } from "../format/segment.ts";
import type { StagedOperation } from "./memtable.ts";
import { type Before, previous } from "./previous.ts";
import type { LockedReplica, Replica } from "./replica.ts";

/** A process that is frozen again and again does not look for ever. */
const LOOKS_MAX = 3;

export interface FlusherOptions {
  readonly agentId: string;
  /** Schema version that records are written under. */
  readonly schema: number;
  /** Operations on records that are not resident carry no `prev`, and are not looked up. */
  readonly blindWrites: boolean;
  /** Called before each flush: throws when this writer must not write any more. */
  readonly checkAllowed: (seenMs: number) => Promise<void>;
}

/**
 * A write on its way into the log: one operation, or a batch that is durable whole or not at all. The
 * flusher settles it where its outcome is known.
 */
export interface QueuedWrite {
  readonly operations: readonly StagedOperation[];
  /** When the call came, by the steady clock. */
  readonly calledMs: number;
  /** The write is durable, and memory holds it. @param versions of its operations */
  resolve(versions: readonly Version[]): void;
  /** Nothing of it counts, or that is not known; memory is as without it. */
  reject(error: unknown): void;
}

interface BuiltWrite {
  readonly write: QueuedWrite;
  readonly operations: readonly LogOperation[];
}

interface BuiltFlush {
  readonly built: readonly BuiltWrite[];
  readonly lines: readonly string[];
  /** Writes that cannot be done: they delete what is not there. */
  readonly refused: readonly { readonly write: QueuedWrite; readonly error: RecordNotFoundError }[];
}

interface FlushContext {
  /** Clock of the first operation. */
  readonly first: number;
  readonly ts: string;
  /** The durable record; undefined when there is none; "unknown" under blind writes. */
  durable(id: string): Before;
}

export class Flusher {
  readonly #engine: Engine;
  readonly #replica: Replica;
  readonly #options: FlusherOptions;
  readonly #writer: LogWriter;
  /** Date of the last flush, by the medium's clock. */
  #writtenMs = 0;

  constructor(engine: Engine, replica: Replica, options: FlusherOptions) {
    this.#engine = engine;
    this.#replica = replica;
    this.#options = options;
    this.#writer = engine.log.createWriter(options.agentId);
  }

  /**
   * Writes a group of writes as one flush, and settles each of them that is refused or durable.
   * @throws what the rest of the group fails with
   */
  async write(locked: LockedReplica, group: readonly QueuedWrite[]): Promise<void> {
    const { agentId: agent, schema: schemaVersion } = this.#options;
    await this.#prepare(locked, group);
    const clocks = this.#takeClocks(operationsIn(group));
    const flush = this.#build(group, clocks);
    for (const { write, error } of flush.refused) write.reject(error);
    const operations = flush.built.flatMap((one) => one.operations);
    if (operations.length === 0) return;
    const countsUntilMs = this.#replica.view.loaded.dateMs + this.#lagMsMax;
    const { lines } = flush;
    const written = await this.#writer.write({
      agent,
      schemaVersion,
      operations,
      lines,
      countsUntilMs,
    });
    this.#writtenMs = written.dateMs;
    this.#checkLate(written);
    this.#checkStoodStill(clocks, written);
    this.#commitMemory(locked, flush, written);
  }

  async close(): Promise<void> {
    await this.#writer.close();
  }

  /** Looks until there is nothing more to look for: the clocks are taken in that very step (H4, H5). */
  async #prepare(locked: LockedReplica, group: readonly QueuedWrite[]): Promise<void> {
    const { checkAllowed } = this.#options;
    const calledMs = group.at(-1)?.calledMs ?? 0;
    let hasLooked = await this.#freshen(locked);
    const needsLook = (): boolean => this.#mustLook(hasLooked ? undefined : calledMs);
    for (let round = 1; round <= LOOKS_MAX; round++) {
      if (needsLook()) {
        await locked.refresh();
        hasLooked = true;
      }
      await this.#lookUp(locked, group);
      await checkAllowed(Math.max(this.#replica.view.loaded.dateMs, this.#writtenMs));
      if (!needsLook()) return;
    }
  }

  /** @returns whether it looked */
  async #freshen(locked: LockedReplica): Promise<boolean> {
    const { refreshEveryMs } = this.#engine.settings;
    if (this.#replica.isFreshToWrite(Math.min(refreshEveryMs, this.#lagMsMax / 2))) return false;
    await locked.refresh();
    return true;
  }

  /**
   * H4: this process was frozen, and its time may lie behind. H5: clocks are ahead of time, and only
   * above a view that began after the newest call is a flush above what was acknowledged before it.
   * @param calledMs when the newest call came, by the steady clock; undefined: the view began since
   */
  #mustLook(calledMs: number | undefined): boolean {
    const { clock } = this.#engine;
    const { view, times } = this.#replica;
    if (clock.isDoubtful) return true;
    if (calledMs === undefined || !clock.isDragged(view.clock)) return false;
    return times.listedAt === undefined || times.listedAt.steadyMs <= calledMs;
  }

  async #lookUp(locked: LockedReplica, group: readonly QueuedWrite[]): Promise<void> {
    if (this.#options.blindWrites) return;
    const ids = group.flatMap(({ operations }) => operations.map(({ id }) => id));
    await locked.lookup(new Set(ids));
  }

  /** @throws InvalidArgumentError when the store's clocks are used up */
  #takeClocks(count: number): TakenClocks {
    const { clock, onWarning } = this.#engine;
    const above = this.#replica.view.clock;
    const aheadMs = clock.takeWarning(above);
    if (aheadMs !== undefined) {
      onWarning(
        `the clocks of this store are ${Math.round(aheadMs / 1_000)} s ahead of its medium's time, because ` +
          "some clock was wrong; nothing is lost, but until time has caught up each flush looks for other writers first",
      );
    }
    return clock.take(count, above);
  }

  #build(group: readonly QueuedWrite[], { first }: TakenClocks): BuiltFlush {
    const { records } = this.#replica;
    return buildFlush(group, {
      first,
      ts: new Date(this.#engine.runtime.nowMs()).toISOString(),
      durable: (id) =>
        this.#replica.isResident(id) ? { value: records.durable(id)?.value } : "unknown",
    });
  }

  /** LATE, by the medium's clock: a purge may already ignore what was written too late. */
  #checkLate({ dateMs, countsUntilMs, ref }: WrittenSegment): void {
    const lagMs = dateMs - this.#replica.view.loaded.dateMs;
    const isOwn = lagMs > this.#lagMsMax || lagMs < -DATE_SKEW_MS;
    if (!isOwn && dateMs <= countsUntilMs) return;
    const late = isOwn
      ? `${lagMs} ms after this store last looked, at most ${this.#lagMsMax} ms count`
      : `${dateMs - countsUntilMs} ms too late for a store whose flush shares it`;
    throw new WriteOutcomeUnknownError(`${ref.path} was written ${late}`, { path: ref.path });
  }

  /** H6. @throws WriteOutcomeUnknownError: the write is durable, but may order below earlier ones */
  #checkStoodStill(clocks: TakenClocks, { dateMs, ref }: WrittenSegment): void {
    if (!this.#engine.clock.stoodStill(clocks, dateMs)) return;
    throw new WriteOutcomeUnknownError(
      `${ref.path} was written while both clocks of this process stood still, perhaps since before the call: ` +
        "it may order below what others wrote meanwhile",
      { path: ref.path },
    );
  }

  /** How long after the date of its view a flush counts, by what the view's manifest promises. */
  get #lagMsMax(): number {
    const { settings, dateSkewMs } = this.#engine;
    const { generation, tombstoneGraceMs } = this.#replica.view.loaded.manifest;
    const promisedMs = generation === 0 ? undefined : tombstoneGraceMs;
    return lagMsMax(settings, promisedMs, dateSkewMs);
  }

  #commitMemory(locked: LockedReplica, { built }: BuiltFlush, written: WrittenSegment): void {
    const { agentId: agent, schema } = this.#options;
    const { writerNonce } = written;
    const operations = built.flatMap((one) => one.operations);
    const segment = { agent, writerNonce, schemaVersion: schema, operations };
    const committed = built.flatMap((one) =>
      one.operations.map((operation, index) => {
        const value = one.write.operations[index]?.value;
        const entry = new ResidentEntry(versionOf(segment, operation), schema, value);
        return { id: operation.id, entry };
      }),
    );
    locked.commit(committed, segment, written);
    for (const { write, operations: own } of built) {
      write.resolve(own.map((operation) => versionOf(segment, operation)));
    }
  }
}

function operationsIn(group: readonly QueuedWrite[]): number {
  return group.reduce((sum, { operations }) => sum + operations.length, 0);
}

/** Clocks, previous values and lines of one flush. Pure. */
function buildFlush(writes: readonly QueuedWrite[], context: FlushContext): BuiltFlush {
  const built: BuiltWrite[] = [];
  const lines: string[] = [];
  const refused: { write: QueuedWrite; error: RecordNotFoundError }[] = [];
  /** What this flush has made of a record so far. */
  const current = new Map<string, unknown>();
  let { first: clock } = context;
  for (const write of writes) {
    const missing = findMissing(write, current, context);
    if (missing !== undefined) {
      refused.push({ write, error: new RecordNotFoundError(missing) });
      continue;
    }
    const operations = write.operations.map((staged) => {
      const operation = buildOperation(staged, clock++, current, context);
      lines.push(encodeOperation(operation, staged.text));
      current.set(staged.id, staged.value);
      return operation;
    });
    built.push({ write, operations });
  }
  return { built, lines, refused };
}

/** The first id that a write deletes although nothing is there. */
function findMissing(
  { operations }: QueuedWrite,
  current: ReadonlyMap<string, unknown>,
  context: FlushContext,
): string | undefined {
  const after = new Map<string, unknown>();
  for (const { op, id, value } of operations) {
    const before = after.has(id) ? { value: after.get(id) } : valueBefore(id, current, context);
    if (op === "delete" && before !== "unknown" && before.value === undefined) return id;
    after.set(id, value);
  }
  return undefined;
}

function valueBefore(
  id: string,
  current: ReadonlyMap<string, unknown>,
  context: FlushContext,
): Before {
  return current.has(id) ? { value: current.get(id) } : context.durable(id);
}

function buildOperation(
  { op, id, value, undoes }: StagedOperation,
  clock: number,
  current: ReadonlyMap<string, unknown>,
  context: FlushContext,
): LogOperation {
  const before = valueBefore(id, current, context);
  const data = op === "set" ? { data: value } : {};
  const mark = undoes === undefined ? {} : { undoes };
  return { ts: context.ts, op, id, clock, ...mark, ...previous(before, value), ...data };
}
