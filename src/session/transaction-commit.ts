/** Makes a transaction take effect: one claim where it is of one lane, else intents and a commit (PROTOCOL, X2 to X5). */
import { UnavailableError, WriteOutcomeUnknownError } from "../core/errors.ts";
import { laneOf } from "../core/lane.ts";
import { compareText, ResidentEntry } from "../core/version.ts";
import type { Engine } from "../engine/engine.ts";
import { encodeClaim, encodeTransaction } from "../format/claim.ts";
import { laneFloor } from "../format/manifest-codec.ts";
import type { LanePlace } from "../format/paths.ts";
import type { Created } from "../log/create-object.ts";
import { claimRef } from "../log/claims.ts";
import type { Drafted } from "./claim-draft.ts";
import type { ClaimPut, LaneClaims } from "./lane-claims.ts";
import type { LockedReplica } from "./replica.ts";

/** What a transaction comes to in one view. */
export interface TransactionDraft {
  /** Path of the transaction, new for every attempt. */
  readonly path: string;
  /** All that it depends on, or writes. */
  readonly ids: ReadonlySet<string>;
  /** At least one operation; one for each record. */
  readonly drafted: readonly Drafted<unknown>[];
  /** By the steady clock: nothing is begun later. */
  readonly untilMs: number;
}

/** "conflict": nothing was written, others were faster. */
export type Committed = "done" | "conflict";

interface LaneNames {
  readonly reads: readonly string[];
  readonly writes: readonly string[];
}

export class TransactionCommits {
  readonly #engine: Engine;
  readonly #claims: LaneClaims;

  constructor(engine: Engine, claims: LaneClaims) {
    this.#engine = engine;
    this.#claims = claims;
  }

  /** @throws UnavailableError and others when nothing was written, WriteOutcomeUnknownError */
  async commit(locked: LockedReplica, draft: TransactionDraft): Promise<Committed> {
    const lanes = lanesOf(draft);
    const [only, ...others] = lanes;
    if (only === undefined) return "done";
    try {
      if (others.length === 0) return await this.#commitLane(locked, draft, only);
      return await this.#commitLanes(locked, draft, lanes);
    } catch (error) {
      locked.distrust();
      throw error;
    }
  }

  /** X2 */
  async #commitLane(
    locked: LockedReplica,
    { ids, drafted }: TransactionDraft,
    [lane, { reads }]: readonly [number, LaneNames],
  ): Promise<Committed> {
    const operations = drafted.map(({ guarded }) => guarded);
    const texts = drafted.map(({ text }) => text);
    const put = await this.#claims.claim(lane, ids, (place, recent) =>
      encodeClaim(
        { kind: "data", ...place, nonce: this.#nonce(), recent, reads, operations },
        texts,
      ),
    );
    if (put === undefined) return "conflict";
    this.#commitMemory(locked, [put], drafted);
    return "done";
  }

  #nonce(): string {
    return this.#engine.runtime.randomHex(16);
  }

  /** X3: an intent in every lane, for what is read as for what is written (READS). */
  async #commitLanes(
    locked: LockedReplica,
    draft: TransactionDraft,
    lanes: readonly (readonly [number, LaneNames])[],
  ): Promise<Committed> {
    const { path, ids } = draft;
    const settled = await Promise.allSettled(
      lanes.map(([lane, names]) =>
        this.#claims.claim(
          lane,
          ids,
          (place, recent) => {
            const head = { ...place, nonce: this.#nonce(), recent };
            return encodeClaim({ kind: "intent", ...head, txn: path, ...names });
          },
          [...names.reads, ...names.writes],
        ),
      ),
    );
    const puts = settled.flatMap((one) => (one.status === "fulfilled" ? (one.value ?? []) : []));
    const failed = settled.find((one) => one.status === "rejected");
    const isLate = this.#engine.runtime.steadyMs() >= draft.untilMs;
    if (puts.length === lanes.length && !isLate) return this.#decide(locked, draft, puts);
    await this.#giveUp(path);
    if (failed === undefined) return "conflict";
    throw failed.reason instanceof WriteOutcomeUnknownError
      ? new UnavailableError(
          `${path}: it is not known whether a claim of it is there; nothing was written`,
          {
            path,
            cause: failed.reason,
          },
        )
      : failed.reason;
  }

  /** X4 and X5 */
  async #decide(
    locked: LockedReplica,
    { path, drafted }: TransactionDraft,
    puts: readonly ClaimPut[],
  ): Promise<Committed> {
    const at = puts.map(({ place }) => place);
    const nonce = this.#nonce();
    const operations = drafted.map(({ guarded }) => guarded);
    let bytes: Buffer | undefined;
    let sent: Created;
    try {
      const texts = drafted.map(({ text }) => text);
      bytes = encodeTransaction({ kind: "commit", nonce, at, operations }, texts);
      sent = await this.#engine.claims.commit(path, bytes);
    } catch (error) {
      if (bytes !== undefined && error instanceof WriteOutcomeUnknownError)
        throw this.#unknown(path, at, bytes, error.message, error);
      await this.#giveUp(path);
      throw error;
    }
    const unknown = (why: string, cause?: unknown): WriteOutcomeUnknownError =>
      this.#unknown(path, at, bytes, why, cause);
    const live = await this.#claims.countLive(at, sent.dateMs).catch((cause: unknown) => {
      throw unknown("it cannot be told whether it counts", cause);
    });
    if (live === at.length && sent.status === "written") {
      this.#commitMemory(locked, puts, drafted);
      return "done";
    }
    locked.distrust();
    // An abort has the name; or the lanes have passed without it (CUT, AT): it never counts.
    if (live > 0 && (live < at.length || sent.status === "taken")) return "conflict";
    throw unknown("was merged before its answer came");
  }

  /** G8: the same bytes once more tell what became of them. */
  #unknown(
    path: string,
    at: readonly LanePlace[],
    bytes: Buffer,
    why: string,
    cause?: unknown,
  ): WriteOutcomeUnknownError {
    const { claims, manifests } = this.#engine;
    const settle = async (): Promise<"written" | "nothing"> => {
      const sent = await claims.commit(path, bytes);
      const { manifest } = await manifests.load();
      const live = at.filter(({ lane, n }) => n > laneFloor(manifest, lane)).length;
      if (live > 0 && live < at.length) return "nothing";
      if (live === 0 || sent.status === "gone")
        throw new WriteOutcomeUnknownError(`${path} was merged meanwhile`, { path });
      return sent.status === "written" ? "written" : "nothing";
    };
    return new WriteOutcomeUnknownError(`${path}: ${why}`, { path, cause, settle });
  }

  /** So that nobody waits for it; where this fails, others do it once they have waited (X6). */
  async #giveUp(path: string): Promise<void> {
    const { claims, runtime } = this.#engine;
    await claims.abort(path, runtime.randomHex(16)).catch(() => undefined);
  }

  /** As readers take it: with its first place. */
  #commitMemory(
    locked: LockedReplica,
    puts: readonly ClaimPut[],
    drafted: readonly Drafted<unknown>[],
  ): void {
    const writer = drafted[0]?.guarded.writer;
    if (writer === undefined) return;
    let committed = drafted.map(({ guarded: { operation }, version, value }) => {
      const entry = new ResidentEntry(version, writer.schemaVersion, value);
      return { id: operation.id, entry };
    });
    let operations = drafted.map(({ guarded }) => guarded.operation);
    for (const { place, bytes } of puts) {
      locked.commit(committed, { ...writer, operations }, { ref: claimRef(place, bytes.length) });
      [committed, operations] = [[], []];
    }
  }
}

function lanesOf({ ids, drafted }: TransactionDraft): (readonly [number, LaneNames])[] {
  const written = new Set(drafted.map(({ guarded }) => guarded.operation.id));
  const lanes = new Map<number, { reads: string[]; writes: string[] }>();
  for (const id of [...ids].toSorted(compareText)) {
    const lane = laneOf(id);
    const names = lanes.get(lane) ?? { reads: [], writes: [] };
    lanes.set(lane, names);
    (written.has(id) ? names.writes : names.reads).push(id);
  }
  return [...lanes].toSorted(([a], [b]) => a - b);
}
