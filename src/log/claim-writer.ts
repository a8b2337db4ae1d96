/**
 * Claims and transactions as objects: each number of a lane, and each transaction, is created once, by
 * whoever is first (PROTOCOL, G4 to G6, X3 to X6).
 */
import { type Claim, encodeTransaction } from "../format/claim.ts";
import { decodeClaim } from "../format/claim-decoder.ts";
import { claimPath, type LanePlace } from "../format/paths.ts";
import type { StorageBackend } from "../storage/backend.ts";
import type { Conditions } from "../storage/conditions.ts";
import { beyondBudget } from "../storage/wrapped-backend.ts";
import { type Created, createObject } from "./create-object.ts";

export interface ClaimSettings {
  readonly writeTimeoutMs: number;
  /** What is known of the medium's preconditions. */
  readonly conditions: Conditions;
}

/** What became of a claim that was sent. */
export type SentClaim =
  | Exclude<Created, { readonly status: "taken" }>
  | { readonly status: "taken"; readonly claim: Claim; readonly dateMs: number };

export class ClaimWriter {
  readonly #backend: StorageBackend;
  readonly #settings: ClaimSettings;

  constructor(backend: StorageBackend, settings: ClaimSettings) {
    this.#backend = backend;
    this.#settings = settings;
  }

  /**
   * @throws UnavailableError, BudgetExceededError and NotSupportedError when nothing was written,
   *   WriteOutcomeUnknownError when it may have been; CorruptionError when what has the number cannot
   *   be read: nothing was written
   */
  async put(place: LanePlace, bytes: Buffer): Promise<SentClaim> {
    const path = claimPath(place);
    const created = await this.#create(path, bytes);
    if (created.status !== "taken") return created;
    const claim = decodeClaim(created.body, path, place);
    return { status: "taken", claim, dateMs: created.dateMs };
  }

  /** X4: decides a transaction, unless it is decided. @throws as `put` */
  commit(path: string, bytes: Buffer): Promise<Created> {
    return this.#create(path, bytes);
  }

  /**
   * X6: decides that a transaction is not to take effect, unless it is decided.
   * @param nonce as of a claim
   * @throws as `put`
   */
  async abort(path: string, nonce: string): Promise<void> {
    const { writeTimeoutMs: timeoutMs } = this.#settings;
    const bytes = encodeTransaction({ kind: "abort", nonce });
    // It ends what others wait for: a budget must not forbid it.
    await beyondBudget(this.#backend).put(path, bytes, { ifAbsent: true }, { timeoutMs });
  }

  #create(path: string, bytes: Buffer): Promise<Created> {
    const { writeTimeoutMs, conditions } = this.#settings;
    conditions.check();
    const through = { backend: this.#backend, timeoutMs: () => writeTimeoutMs };
    return createObject(through, path, bytes, conditions);
  }
}
