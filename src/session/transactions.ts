/**
 * Transactions over any records: a function reads and stages, in a view; then all that it has read or
 * written is claimed, and one object makes it take effect (PROTOCOL, X1 to X8).
 */
import { Deferred } from "../core/deferred.ts";
import { ConflictError } from "../core/errors.ts";
import { laneOf } from "../core/lane.ts";
import { ABSENT, type ResidentEntry } from "../core/version.ts";
import type { Engine } from "../engine/engine.ts";
import { txnPath } from "../format/paths.ts";
import type { OpenIntent } from "../view/view.ts";
import { type ConditionalWrite, draftClaim } from "./claim-draft.ts";
import type { CommitQueue } from "./commit-queue.ts";
import { evaluate, type TransactionBody, type TransactionLimits } from "./evaluation.ts";
import type { FlusherOptions } from "./flusher.ts";
import { backOffMs, LaneClaims, noLanes } from "./lane-claims.ts";
import { openIntentOn, waitUntilDecided } from "./open-intents.ts";
import type { LockedReplica, Replica } from "./replica.ts";
import { type Committed, TransactionCommits } from "./transaction-commit.ts";
import { TransactionWork } from "./transaction-work.ts";

interface Call extends TransactionLimits {
  /** By the steady clock. */
  readonly untilMs: number;
  /** Digits of its names, for all attempts: of two that meet, one goes first, and stays so. */
  readonly rank: string;
  /** Of its names: when it began, in seconds by the medium's clock. */
  t: number;
  conflicts: number;
}

/** "outdated": what was read was changed. "look": nothing is written, and one view does not show that it held together. */
type Settled = Committed | "outdated" | "look" | OpenIntent;

const RANK_DIGITS = 8;

export class Transactions {
  readonly #engine: Engine;
  readonly #replica: Replica;
  readonly #queue: CommitQueue;
  readonly #claims: LaneClaims;
  readonly #commits: TransactionCommits;
  readonly #options: Pick<FlusherOptions, "agentId" | "schema" | "checkAllowed">;
  readonly #unsettled = new Set<Promise<unknown>>();

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
    this.#commits = new TransactionCommits(engine, this.#claims);
    this.#options = options;
  }

  /**
   * @returns what the function returned whose writes took effect
   * @throws what the function throws; NotSupportedError in a store without lanes; ConflictError: others
   *   were faster until the deadline, nothing was written; UnavailableError; WriteOutcomeUnknownError
   */
  async run<R>(body: TransactionBody<R>, limits: TransactionLimits): Promise<R> {
    const done = new Deferred();
    this.#unsettled.add(done.promise);
    try {
      return await this.#run(body, limits);
    } finally {
      this.#unsettled.delete(done.promise);
      done.resolve();
    }
  }

  /** Resolves once no call is under way. */
  async settle(): Promise<void> {
    await Promise.all(this.#unsettled);
  }

  async #run<R>(body: TransactionBody<R>, limits: TransactionLimits): Promise<R> {
    const { runtime } = this.#engine;
    const untilMs = runtime.steadyMs() + limits.deadlineMs;
    const call = { ...limits, untilMs, rank: runtime.randomHex(RANK_DIGITS), t: 0, conflicts: 0 };
    // G1: what this store wrote before is seen; what fails there fails to its own callers.
    if (this.#queue.queuedOperations > 0) await this.#queue.flush().catch(() => undefined);
    for (;;) {
      await this.#replica.withLock((locked) => this.#begin(locked, call));
      const work = new TransactionWork((ids, reader) => this.#readEntries(call, ids, reader));
      const running = { owner: this.#replica, work, body };
      const ended = await evaluate(runtime, running, call);
      if (ended !== undefined && (await this.#isSettled(call, work))) return ended.result;
      if (runtime.steadyMs() >= untilMs) throw lost(call);
      call.conflicts++;
    }
  }

  /** X1: in a view that began after the call. */
  async #begin(locked: LockedReplica, call: Call): Promise<void> {
    const isFirst = call.t === 0;
    await this.#claims.look(locked, isFirst);
    if (!this.#claims.isSupported) throw noLanes("transactions");
    if (isFirst) call.t = Math.floor(this.#replica.view.loaded.dateMs / 1_000);
  }

  #durable(id: string): ResidentEntry {
    return this.#replica.records.durable(id) ?? ABSENT;
  }

  /** G2, and what was read before is still there. */
  async #readEntries(
    call: Call,
    ids: readonly string[],
    work: TransactionWork,
  ): Promise<ReadonlyMap<string, ResidentEntry>> {
    for (;;) {
      const found = await this.#replica.withLock(async (locked) => {
        await locked.lookup(ids);
        this.#checkDamage(ids);
        if (!work.isCurrent((id) => this.#durable(id))) throw work.outdate();
        const open = openIntentOn(this.#replica.view, new Set(ids));
        return { open, entries: new Map(ids.map((id) => [id, this.#durable(id)])) };
      });
      if (found.open === undefined) return found.entries;
      await this.#wait(call, found.open);
      await this.#replica.withLock((locked) => this.#claims.look(locked, true));
    }
  }

  /** @throws CorruptionError */
  #checkDamage(ids: Iterable<string>): void {
    for (const id of ids) {
      const damage = this.#replica.damageOf(laneOf(id));
      if (damage !== undefined) throw damage;
    }
  }

  /** X6 @throws ConflictError */
  async #wait(call: Call, open: OpenIntent): Promise<void> {
    const own = txnPath({ t: call.t, rand: call.rank.padEnd(16, "0") });
    const { patienceMs, untilMs } = call;
    await waitUntilDecided(this.#engine, open, { patienceMs, untilMs, own });
    if (this.#engine.runtime.steadyMs() >= untilMs) throw lost(call);
    call.conflicts++;
  }

  /** @returns false: what it has read was changed */
  async #isSettled(call: Call, work: TransactionWork): Promise<boolean> {
    for (let needsLook = false; ; needsLook = true) {
      const settled = await this.#replica.withLock((locked) =>
        this.#settle(locked, { call, work, needsLook }),
      );
      if (settled === "done") return true;
      if (settled === "outdated") return false;
      if (settled === "conflict") await this.#backOff(call);
      else if (settled !== "look") await this.#wait(call, settled);
    }
  }

  /** G7 @throws ConflictError */
  async #backOff(call: Call): Promise<void> {
    const { runtime } = this.#engine;
    const waitMs = runtime.random() * backOffMs(++call.conflicts);
    if (runtime.steadyMs() + waitMs >= call.untilMs) throw lost(call);
    await runtime.sleep(waitMs);
  }

  /** Everything that was read is there, and nothing of it is undecided, in one view: on that it is claimed. */
  async #settle(
    locked: LockedReplica,
    {
      call,
      work,
      needsLook,
    }: { readonly call: Call; readonly work: TransactionWork; readonly needsLook: boolean },
  ): Promise<Settled> {
    const { ids } = work;
    if (ids.size === 0) return "done";
    await this.#claims.look(locked, needsLook);
    await locked.lookup(ids);
    const { view } = this.#replica;
    await this.#options.checkAllowed(view.loaded.dateMs);
    this.#checkDamage(ids);
    if (!work.isCurrent((id) => this.#durable(id))) return "outdated";
    // RESOLVE
    const open = openIntentOn(view, ids);
    if (open !== undefined) return open;
    const { runtime } = this.#engine;
    const { agentId: agent, schema: schemaVersion } = this.#options;
    const { drafted } = draftClaim(writesOf(work), {
      entryOf: (id) => this.#durable(id),
      purgeFloor: view.loaded.manifest.purgeFloor,
      writer: { agent, writerNonce: runtime.randomHex(16), schemaVersion },
      ts: new Date(runtime.nowMs()).toISOString(),
    });
    if (drafted.length === 0) {
      // X1: pages of a view are not of one moment.
      if (ids.size === 1 || needsLook) return "done";
      for (const id of ids) work.bases.set(id, this.#durable(id));
      return "look";
    }
    const path = txnPath({ t: call.t, rand: call.rank + runtime.randomHex(16 - RANK_DIGITS) });
    return this.#commits.commit(locked, { path, ids, drafted, untilMs: call.untilMs });
  }
}

/** A deletion of what is not there writes nothing. */
function writesOf({ staged }: TransactionWork): ConditionalWrite[] {
  return [...staged.values()].map((operation) => {
    const { id, op } = operation;
    const decide: ConditionalWrite["decide"] = ({ value }) =>
      op === "delete" && value === undefined ? undefined : operation;
    return { id, decide };
  });
}

function lost({ conflicts, deadlineMs }: Call): ConflictError {
  return new ConflictError(
    `transaction: others wrote first, ${conflicts} times within ${deadlineMs} ms; nothing was written`,
  );
}
