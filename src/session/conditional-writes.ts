/**
 * Conditional writes: each is one create-only PUT of the next number of its record's lane, whose
 * holder has seen all that stands below it (PROTOCOL, G1 to G9). Those of one store that wait at the
 * same time share a look, and those of one lane a claim.
 */
import { Deferred } from "../core/deferred.ts";
import {
  ConflictError,
  NotSupportedError,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "../core/errors.ts";
import { laneOf } from "../core/lane.ts";
import { guardWindowMs } from "../core/settings.ts";
import { ABSENT, ResidentEntry } from "../core/version.ts";
import type { Engine } from "../engine/engine.ts";
import { type Claim, encodeClaim, type GuardedWriter } from "../format/claim.ts";
import { laneFloor } from "../format/manifest-codec.ts";
import type { LanePlace } from "../format/paths.ts";
import type { SentClaim } from "../log/claim-writer.ts";
import { claimRef, isClaim } from "../log/claims.ts";
import type { View } from "../view/view.ts";
import {
  type ClaimDraft,
  type ConditionalWrite,
  draftClaim,
  type Drafted,
  type FoundRecord,
} from "./claim-draft.ts";
import type { CommitQueue } from "./commit-queue.ts";
import type { FlusherOptions } from "./flusher.ts";
import type { LockedReplica, Replica } from "./replica.ts";

/** How a conditional write is carried out. */
export interface ConditionalCall extends ConditionalWrite {
  /** Decided in a view that began after the call, not in one that is up to 10 s old. */
  readonly fresh: boolean;
  /** How long it is tried again while others are faster. */
  readonly deadlineMs: number;
}

interface Waiting extends ConditionalCall {
  /** By the steady clock. */
  readonly untilMs: number;
  readonly done: Deferred<FoundRecord>;
  conflicts: number;
}

/** A view that is decided in without a look may be so old. */
const VIEW_AGE_MS_MAX = 10_000;
/** SPAN: looks that were frozen between two pages. */
const LOOKS_MAX = 3;
/** Numbers that others took for other records, until the view is taken anew. */
const PASSED_MAX = 3;
const BACKOFF_MS_MIN = 20;
const BACKOFF_MS_MAX = 1_000;

export class ConditionalWrites {
  readonly #engine: Engine;
  readonly #replica: Replica;
  readonly #queue: CommitQueue;
  readonly #options: Pick<FlusherOptions, "agentId" | "schema" | "checkAllowed">;
  readonly #unsettled = new Set<Promise<unknown>>();
  #waiting: Waiting[] = [];
  #isRunning = false;

  constructor(
    engine: Engine,
    replica: Replica,
    queue: CommitQueue,
    options: Pick<FlusherOptions, "agentId" | "schema" | "checkAllowed">,
  ) {
    this.#engine = engine;
    this.#replica = replica;
    this.#queue = queue;
    this.#options = options;
  }

  /** G0: the store has lanes, as of the last look. */
  get isSupported(): boolean {
    return this.#replica.view.loaded.manifest.lanes !== undefined;
  }

  /**
   * @returns the record afterwards
   * @throws what `decide` throws; NotSupportedError in a store without lanes; ConflictError: others were
   *   faster until the deadline, nothing was written; UnavailableError; WriteOutcomeUnknownError
   */
  commit(call: ConditionalCall): Promise<FoundRecord> {
    const done = new Deferred<FoundRecord>();
    const untilMs = this.#engine.runtime.steadyMs() + call.deadlineMs;
    this.#waiting.push({ ...call, untilMs, done, conflicts: 0 });
    this.#unsettled.add(done.promise);
    const forget = (): void => void this.#unsettled.delete(done.promise);
    done.promise.then(forget, forget);
    this.#start();
    return done.promise;
  }

  /** Resolves once no call is under way; those that fail tell their callers. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#unsettled);
  }

  #start(): void {
    if (!this.#isRunning && this.#waiting.length > 0) void this.#run();
  }

  /** Never rejects: every failure goes to the calls that it concerns. */
  async #run(): Promise<void> {
    this.#isRunning = true;
    // Calls of the same moment share the look.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#round(this.#waiting.splice(0));
    this.#isRunning = false;
  }

  async #round(group: readonly Waiting[]): Promise<void> {
    try {
      // G1: what this store wrote before is seen; what fails there fails to its own callers.
      if (this.#queue.queuedOperations > 0) await this.#queue.flush().catch(() => undefined);
      await this.#replica.withLock((locked) => this.#decide(locked, group));
    } catch (error) {
      for (const { done } of group) done.reject(error);
    }
  }

  async #decide(locked: LockedReplica, group: readonly Waiting[]): Promise<void> {
    await this.#look(locked, group);
    await locked.lookup(new Set(group.map(({ id }) => id)));
    const { view } = this.#replica;
    await this.#options.checkAllowed(view.loaded.dateMs);
    if (!this.isSupported) throw noLanes();
    const lanes = new Map<number, Waiting[]>();
    for (const call of group) {
      const lane = laneOf(call.id);
      const calls = lanes.get(lane);
      if (calls === undefined) lanes.set(lane, [call]);
      else calls.push(call);
    }
    await Promise.all([...lanes].map(([lane, calls]) => this.#decideLane(locked, lane, calls)));
  }

  /** G1 and SPAN. */
  async #look(locked: LockedReplica, group: readonly Waiting[]): Promise<void> {
    const needsLook = group.some(({ fresh, conflicts }) => fresh || conflicts > 0);
    if (needsLook || !this.#replica.isFreshToWrite(VIEW_AGE_MS_MAX)) await locked.refresh();
    for (let looks = 1; this.#spanMs > this.#windowMs; looks++) {
      if (looks === LOOKS_MAX) {
        throw new UnavailableError(
          `a look took more than ${this.#windowMs} ms by the medium's dates, ${LOOKS_MAX} times in a row`,
        );
      }
      await locked.refresh();
    }
  }

  get #spanMs(): number {
    const { firstDateMs, lastDateMs } = this.#replica.view;
    return lastDateMs - firstDateMs;
  }

  /** WINDOW, by what the view's manifest promises. */
  get #windowMs(): number {
    return guardWindowMs(this.#replica.view.loaded.manifest);
  }

  /** Settles the calls, or lets them wait for another round. */
  async #decideLane(locked: LockedReplica, lane: number, calls: readonly Waiting[]): Promise<void> {
    const { records, view } = this.#replica;
    const damage = this.#replica.damageOf(lane);
    if (damage !== undefined) return calls.forEach(({ done }) => done.reject(damage));
    // RESOLVE: what a transaction may still write is not known yet; a compaction decides it (K1).
    if (isUndecided(view, lane)) return calls.forEach((call) => this.#tryAgain(call));
    const writer = this.#writer();
    const draft = draftClaim(calls, {
      entryOf: (id) => records.durable(id) ?? ABSENT,
      purgeFloor: view.loaded.manifest.purgeFloor,
      writer,
      ts: new Date(this.#engine.runtime.nowMs()).toISOString(),
    });
    if (draft.drafted.length === 0) return answer(draft);
    try {
      const n = await this.#claim(locked, lane, draft);
      if (n === undefined) for (const call of calls) this.#tryAgain(call);
      else answer(draft);
    } catch (error) {
      locked.distrust();
      for (const { write } of draft.drafted) write.done.reject(error);
      // They were decided on what may not be there.
      for (const { write } of draft.settled) this.#tryAgain(write);
    }
  }

  #writer(): GuardedWriter {
    const { agentId: agent, schema: schemaVersion } = this.#options;
    return { agent, writerNonce: this.#engine.runtime.randomHex(16), schemaVersion };
  }

  /**
   * G4 to G6. @returns the number; undefined if another's claim concerns what was decided on: it is to
   * be decided anew
   */
  async #claim(
    locked: LockedReplica,
    lane: number,
    { drafted }: ClaimDraft<Waiting>,
  ): Promise<number | undefined> {
    const ids = new Set(drafted.map(({ write }) => write.id));
    const first = lastNumber(this.#replica.viewWithOwn, lane) + 1;
    for (let n = first; n <= first + PASSED_MAX; n++) {
      const place = { lane, n };
      const bytes = this.#encode(place, drafted);
      const sent = await this.#send(place, bytes);
      const isWritten = sent.status === "written";
      const judged = sent.status !== "gone" && this.#isLive(place, sent.dateMs);
      const isLive = await Promise.resolve(judged).catch((cause: unknown) => {
        throw isWritten
          ? this.#unknown(place, bytes, "it cannot be told whether it counts", cause)
          : cause;
      });
      if (sent.status === "written") {
        if (!isLive) throw this.#unknown(place, bytes, "was merged before its answer came");
        this.#commitMemory(locked, place, bytes, drafted);
        return n;
      }
      if (sent.status === "gone" || !isLive || namesAny(sent.claim, ids)) return undefined;
    }
    return undefined;
  }

  #encode(place: LanePlace, drafted: readonly Drafted<Waiting>[]): Buffer {
    const claim: Claim = {
      kind: "data",
      ...place,
      nonce: this.#engine.runtime.randomHex(16),
      reads: [],
      recent: { from: place.n, ids: new Map() },
      operations: drafted.map(({ guarded }) => guarded),
    };
    return encodeClaim(
      claim,
      drafted.map(({ text }) => text),
    );
  }

  async #send(place: LanePlace, bytes: Buffer): Promise<SentClaim> {
    try {
      return await this.#engine.claims.put(place, bytes);
    } catch (error) {
      if (!(error instanceof WriteOutcomeUnknownError)) throw error;
      throw this.#unknown(place, bytes, error.message, error);
    }
  }

  /** WINDOW: later than that the name may have been merged, deleted, and taken by a late request. */
  async #isLive({ lane, n }: LanePlace, dateMs: number): Promise<boolean> {
    const { loaded, firstDateMs } = this.#replica.view;
    const elapsedMs = dateMs - firstDateMs;
    if (elapsedMs >= -this.#windowMs && elapsedMs <= this.#windowMs) return true;
    const { manifest } = await this.#engine.manifests.load(loaded);
    return n > laneFloor(manifest, lane);
  }

  /** G8: the same bytes once more tell what became of them. */
  #unknown(
    place: LanePlace,
    bytes: Buffer,
    why: string,
    cause?: unknown,
  ): WriteOutcomeUnknownError {
    const { claims, manifests } = this.#engine;
    const path = claimRef(place, bytes.length).path;
    const settle = async (): Promise<"written" | "nothing"> => {
      const sent = await claims.put(place, bytes);
      const { manifest } = await manifests.load();
      const isLive = sent.status !== "gone" && place.n > laneFloor(manifest, place.lane);
      if (!isLive) throw new WriteOutcomeUnknownError(`${path} was merged meanwhile`, { path });
      return sent.status === "written" ? "written" : "nothing";
    };
    return new WriteOutcomeUnknownError(`${path}: ${why}`, { path, cause, settle });
  }

  #commitMemory(
    locked: LockedReplica,
    place: LanePlace,
    bytes: Buffer,
    drafted: readonly Drafted<Waiting>[],
  ): void {
    const [first] = drafted;
    if (first === undefined) return;
    const { writer } = first.guarded;
    const committed = drafted.map(({ write, version, value }) => {
      return { id: write.id, entry: new ResidentEntry(version, writer.schemaVersion, value) };
    });
    const operations = drafted.map(({ guarded }) => guarded.operation);
    locked.commit(committed, { ...writer, operations }, { ref: claimRef(place, bytes.length) });
  }

  /** G7 */
  #tryAgain(call: Waiting): void {
    const { runtime } = this.#engine;
    const capMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** ++call.conflicts);
    const waitMs = runtime.random() * capMs;
    if (runtime.steadyMs() + waitMs >= call.untilMs) {
      const { id, conflicts, deadlineMs } = call;
      const lost = `others wrote first, ${conflicts} times within ${deadlineMs} ms; nothing was written`;
      call.done.reject(new ConflictError(`Record '${id}': ${lost}`, { id }));
      return;
    }
    void this.#wait(call, waitMs);
  }

  async #wait(call: Waiting, waitMs: number): Promise<void> {
    await this.#engine.runtime.sleep(waitMs);
    this.#waiting.push(call);
    this.#start();
  }
}

function answer({ drafted, settled }: ClaimDraft<Waiting>): void {
  for (const { write, value, version } of drafted) {
    write.done.resolve({ value, version });
  }
  for (const one of settled) {
    if ("found" in one) one.write.done.resolve(one.found);
    else one.write.done.reject(one.error);
  }
}

/** The highest number of a lane that is taken. */
function lastNumber({ loaded, segments }: View, lane: number): number {
  return segments
    .filter((ref) => isClaim(ref))
    .filter(({ claim }) => claim.lane === lane)
    .reduce((last, { claim: { n } }) => Math.max(last, n), laneFloor(loaded.manifest, lane));
}

function isUndecided({ segments, decisions }: View, lane: number): boolean {
  return segments.some((ref) => ref.claim?.lane === lane && decisions.undecided.has(ref.key));
}

/** TOUCH */
function namesAny(claim: Claim, ids: ReadonlySet<string>): boolean {
  switch (claim.kind) {
    case "seal":
      return true;
    case "intent":
      return [...claim.reads, ...claim.writes].some((id) => ids.has(id));
    case "data":
      return (
        claim.reads.some((id) => ids.has(id)) ||
        claim.operations.some(({ operation }) => ids.has(operation.id))
      );
  }
}

function noLanes(): NotSupportedError {
  return new NotSupportedError(
    "conditional writes need a store with lanes, which its next compaction adds: run one by this version " +
      "(`compact(location)`, or the scheduled compactor), once every program of the store can read them",
  );
}
