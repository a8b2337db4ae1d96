/**
 * Conditional writes: each is one create-only PUT of the next number of its record's lane, whose
 * holder has seen all that stands below it (PROTOCOL, G1 to G9). Those of one store that wait at the
 * same time share a look, and those of one lane a claim.
 */
import { Deferred } from "../core/deferred.ts";
import { ConflictError } from "../core/errors.ts";
import { laneOf } from "../core/lane.ts";
import { ABSENT, ResidentEntry } from "../core/version.ts";
import type { Engine } from "../engine/engine.ts";
import { type Claim, encodeClaim, type GuardedWriter, type Recent } from "../format/claim.ts";
import type { LanePlace } from "../format/paths.ts";
import { claimRef } from "../log/claims.ts";
import type { OpenIntent } from "../view/view.ts";
import {
  type ClaimDraft,
  type ConditionalWrite,
  draftClaim,
  type Drafted,
  type FoundRecord,
} from "./claim-draft.ts";
import type { CommitQueue } from "./commit-queue.ts";
import type { FlusherOptions } from "./flusher.ts";
import { backOffMs, type ClaimPut, LaneClaims, noLanes } from "./lane-claims.ts";
import { openIntentOn, PATIENCE_MS, waitUntilDecided } from "./open-intents.ts";
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

export class ConditionalWrites {
  readonly #engine: Engine;
  readonly #replica: Replica;
  readonly #queue: CommitQueue;
  readonly #claims: LaneClaims;
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
    this.#claims = new LaneClaims(engine, replica);
    this.#options = options;
  }

  /** G0: the store has lanes, as of the last look. */
  get isSupported(): boolean {
    return this.#claims.isSupported;
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
    const needsLook =
      !this.isSupported || group.some(({ fresh, conflicts }) => fresh || conflicts > 0);
    await this.#claims.look(locked, needsLook);
    await locked.lookup(new Set(group.map(({ id }) => id)));
    const { view } = this.#replica;
    await this.#options.checkAllowed(view.loaded.dateMs);
    if (!this.isSupported) throw noLanes("conditional writes");
    const lanes = new Map<number, Waiting[]>();
    for (const call of group) {
      const lane = laneOf(call.id);
      const calls = lanes.get(lane);
      if (calls === undefined) lanes.set(lane, [call]);
      else calls.push(call);
    }
    await Promise.all([...lanes].map(([lane, calls]) => this.#decideLane(locked, lane, calls)));
  }

  /** Settles the calls, or lets them wait for another round. */
  async #decideLane(locked: LockedReplica, lane: number, all: readonly Waiting[]): Promise<void> {
    const { records, view } = this.#replica;
    const damage = this.#replica.damageOf(lane);
    if (damage !== undefined) return all.forEach(({ done }) => done.reject(damage));
    const calls = all.filter((call) => {
      const open = openIntentOn(view, new Set([call.id]));
      if (open !== undefined) this.#tryAgainAfter(call, open);
      return open === undefined;
    });
    const writer = this.#writer();
    const draft = draftClaim(calls, {
      entryOf: (id) => records.durable(id) ?? ABSENT,
      purgeFloor: view.loaded.manifest.purgeFloor,
      writer,
      ts: new Date(this.#engine.runtime.nowMs()).toISOString(),
    });
    if (draft.drafted.length === 0) return answer(draft);
    try {
      const { drafted } = draft;
      const ids = new Set(drafted.map(({ write }) => write.id));
      const put = await this.#claims.claim(lane, ids, (place, recent) =>
        this.#encode(place, recent, drafted),
      );
      if (put === undefined) return calls.forEach((call) => this.#tryAgain(call));
      this.#commitMemory(locked, put, drafted);
      answer(draft);
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

  #encode(place: LanePlace, recent: Recent, drafted: readonly Drafted<Waiting>[]): Buffer {
    const claim: Claim = {
      kind: "data",
      ...place,
      nonce: this.#engine.runtime.randomHex(16),
      reads: [],
      recent,
      operations: drafted.map(({ guarded }) => guarded),
    };
    return encodeClaim(
      claim,
      drafted.map(({ text }) => text),
    );
  }

  #commitMemory(
    locked: LockedReplica,
    { place, bytes }: ClaimPut,
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
    const waitMs = runtime.random() * backOffMs(++call.conflicts);
    if (runtime.steadyMs() + waitMs >= call.untilMs) call.done.reject(lost(call));
    else void this.#wait(call, runtime.sleep(waitMs));
  }

  /** RESOLVE: what a transaction may still write is not known yet. */
  #tryAgainAfter(call: Waiting, open: OpenIntent): void {
    call.conflicts++;
    const { untilMs } = call;
    const decided = waitUntilDecided(this.#engine, open, { patienceMs: PATIENCE_MS, untilMs });
    void this.#wait(call, decided);
  }

  async #wait(call: Waiting, over: Promise<void>): Promise<void> {
    try {
      await over;
    } catch (error) {
      call.done.reject(error);
      return;
    }
    if (this.#engine.runtime.steadyMs() >= call.untilMs) {
      call.done.reject(lost(call));
      return;
    }
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

function lost({ id, conflicts, deadlineMs }: Waiting): ConflictError {
  const why = `others wrote first, ${conflicts} times within ${deadlineMs} ms; nothing was written`;
  return new ConflictError(`Record '${id}': ${why}`, { id });
}
