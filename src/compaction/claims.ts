/** Reads the claims of the lanes, and merges those that a compaction passes (PROTOCOL, K1 and K2). */
import {
  AccessDeniedError,
  type CorruptionError,
  WriteOutcomeUnknownError,
} from "../core/errors.ts";
import { append, maxOf } from "../core/bulk.ts";
import { mapParallel } from "../core/parallel.ts";
import {
  type Claim,
  encodeTransaction,
  type GuardedOperation,
  segmentsOf,
  type Transaction,
} from "../format/claim.ts";
import { HeldLines } from "../format/held-lines.ts";
import { laneFloor, type Manifest } from "../format/manifest-codec.ts";
import { claimPath, type LanePlace } from "../format/paths.ts";
import { claimRef, readClaim, readTransaction } from "../log/claims.ts";
import { endsOf, isInForce, lanesAfter, passedPaths, placesOf } from "./lanes.ts";
import { type MergedLog, NO_LOG, Winners } from "./merge-log.ts";
import { guardGraceOf } from "./publication.ts";
import type { CompactorParts } from "./report.ts";

/** What a step changes in the lanes: it holds over a manifest with the lanes that it was read on. */
export interface LanesChange {
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Every lane passes a seal that was made after this generation. Default: as it is. */
  readonly sealed?: number | undefined;
}

/** What a step merges of the lanes, under one lease: places of a transaction lie in several (CUT). */
export interface PassedClaims {
  readonly change: LanesChange;
  /** In place of log. */
  readonly merged: MergedLog;
  /** Claims and transactions that are passed, to be deleted once they have been so for a grace. */
  readonly paths: readonly string[];
  readonly count: number;
}

/** What was read of the lanes. */
export interface ReadClaims {
  /** Undefined: nothing can be passed. */
  readonly passed: PassedClaims | undefined;
  readonly ends: ReadonlyMap<number, number>;
  /** More could be passed by another step. */
  readonly isCut: boolean;
  /** Transactions that live intents name; undefined: not every claim was read. */
  readonly awaited: ReadonlySet<string> | undefined;
  readonly corrupt: readonly CorruptionError[];
}

type Parts = Pick<CompactorParts, "backend" | "runtime" | "settings">;

/** Of claims that are read at once, of a lane after each other, and about as many in one step. */
const READS_PARALLEL = 32;
const STRIDE = 16;
const CLAIMS_MAX = 5_000;

interface FoundClaim {
  readonly claim: Claim;
  /** By the medium's dates, when it was read. */
  readonly ageMs: number;
}

export class ClaimReader {
  readonly #parts: Parts;
  readonly #manifest: Manifest;
  readonly #signal: AbortSignal | undefined;
  readonly #found = new Map<string, FoundClaim>();
  readonly #errors = new Map<string, CorruptionError>();
  readonly #decided = new Map<string, Transaction>();

  /** @param manifest with lanes */
  constructor(parts: Parts, manifest: Manifest, signal: AbortSignal | undefined) {
    this.#parts = parts;
    this.#manifest = manifest;
    this.#signal = signal;
  }

  /** What this process has just created needs not be read. */
  know(claim: Claim): void {
    this.#found.set(claimPath(claim), { claim, ageMs: 0 });
  }

  /**
   * Reads what is live, also numbers that no listing shows (R1).
   * @param known by lane, the highest number that is there
   * @param sealed the generation that is sealed if every lane passes up to `known`
   */
  async read(known: ReadonlyMap<number, number>, sealed?: number): Promise<ReadClaims> {
    const heights = new Map(known);
    let isCut = await this.#readUpTo(heights);
    for (let more = this.#placesBehind(heights); more.length > 0 && !isCut;) {
      for (const { lane, n } of more) heights.set(lane, Math.max(n, heights.get(lane) ?? 0));
      isCut = await this.#readUpTo(heights);
      more = this.#placesBehind(heights);
    }
    const lanes = new Map([...heights.keys()].map((lane) => [lane, this.#claimsOf(lane)]));
    const ends = endsOf(lanes, this.#decided, this.#manifest);
    const isSealed = [...known].every(([lane, n]) => (ends.get(lane) ?? 0) >= n);
    const isWhole = !isCut && this.#errors.size === 0;
    return {
      passed: this.#passed(lanes, ends, isSealed ? sealed : undefined),
      ends,
      isCut,
      awaited: isWhole ? this.#awaited() : undefined,
      corrupt: [...this.#errors.values()],
    };
  }

  /** Each lane up to its first gap, all as far as each other. @returns whether a step ends before */
  async #readUpTo(heights: ReadonlyMap<number, number>): Promise<boolean> {
    let isCut = false;
    for (let from = 0, count = 0; !isCut; from += STRIDE) {
      const places = [...heights].flatMap(([lane, height]) => {
        const first = laneFloor(this.#manifest, lane) + from + 1;
        const isGap = this.#claimsOf(lane).length < from;
        const length = isGap ? 0 : Math.min(STRIDE, height - first + 1);
        return Array.from({ length: Math.max(0, length) }, (_, at) => ({ lane, n: first + at }));
      });
      if (places.length === 0) break;
      const unread = places.filter((place) => !this.#found.has(claimPath(place)));
      await mapParallel(unread, READS_PARALLEL, (place) => this.#readClaim(place));
      isCut = (count += places.length) >= CLAIMS_MAX;
    }
    await this.#decide();
    return isCut;
  }

  async #readClaim(place: LanePlace): Promise<void> {
    this.#signal?.throwIfAborted();
    const ref = claimRef(place);
    const found = await readClaim(this.#parts.backend, ref);
    if (found.status === "corrupt") this.#errors.set(ref.path, found.error);
    if (found.status !== "found") return;
    const ageMs = found.dateMs - found.lastModifiedMs;
    this.#found.set(ref.path, { claim: found.value, ageMs });
  }

  /** In their order up to the first that is not there, or cannot be read. */
  #claimsOf(lane: number): Claim[] {
    const claims: Claim[] = [];
    for (let n = laneFloor(this.#manifest, lane) + 1; ; n++) {
      const found = this.#found.get(claimPath({ lane, n }));
      if (found === undefined) return claims;
      claims.push(found.claim);
    }
  }

  /** DECIDED: a transaction that is decided stays so; who waits too long decides it. */
  async #decide(): Promise<void> {
    const ages = new Map<string, number>();
    for (const { claim, ageMs } of this.#found.values()) {
      if (claim.kind !== "intent" || this.#decided.has(claim.txn)) continue;
      ages.set(claim.txn, Math.max(ageMs, ages.get(claim.txn) ?? 0));
    }
    const graceMs = guardGraceOf(this.#manifest, this.#parts.settings);
    await mapParallel([...ages], READS_PARALLEL, async ([path, ageMs]) => {
      this.#signal?.throwIfAborted();
      const found = (await this.#transaction(path)) ?? (await this.#abort(path, ageMs > graceMs));
      if (found !== undefined) this.#decided.set(path, found);
    });
  }

  /** Undefined: it is not there, or it cannot be read. */
  async #transaction(path: string): Promise<Transaction | undefined> {
    const found = await readTransaction(this.#parts.backend, path);
    if (found.status === "corrupt") this.#errors.set(path, found.error);
    return found.status === "found" ? found.value : undefined;
  }

  async #abort(path: string, isOld: boolean): Promise<Transaction | undefined> {
    if (!isOld || this.#errors.has(path)) return undefined;
    const { backend, runtime, settings } = this.#parts;
    const abort = { kind: "abort", nonce: runtime.randomHex(16) } as const;
    const body = encodeTransaction(abort);
    const timeoutMs = settings.writeTimeoutMs;
    try {
      const put = await backend.put(path, body, { ifAbsent: true }, { timeoutMs });
      return put.status === "conflict" ? await this.#transaction(path) : abort;
    } catch (error) {
      if (isPassedOver(error)) return undefined;
      throw error;
    }
  }

  /** Places of commits that were read, above what is to be read of their lanes. */
  #placesBehind(heights: ReadonlyMap<number, number>): LanePlace[] {
    return [...heights.keys()].flatMap((lane) =>
      this.#claimsOf(lane).flatMap((claim) =>
        placesOf(claim, this.#decided, this.#manifest).filter(
          (place) => place.n > (heights.get(place.lane) ?? 0),
        ),
      ),
    );
  }

  #awaited(): ReadonlySet<string> {
    const claims = [...this.#found.values()].map(({ claim }) => claim);
    return new Set(claims.flatMap((claim) => (claim.kind === "intent" ? [claim.txn] : [])));
  }

  #passed(
    lanes: ReadonlyMap<number, readonly Claim[]>,
    ends: ReadonlyMap<number, number>,
    sealed: number | undefined,
  ): PassedClaims | undefined {
    const { lanes: before = [] } = this.#manifest;
    const paths = passedPaths(ends, this.#manifest);
    if (paths.length === 0) return undefined;
    const claims = [...lanes.values()].flat().filter(({ lane, n }) => n <= (ends.get(lane) ?? 0));
    const { merged, transactions } = this.#merge(claims);
    return {
      change: { before, after: lanesAfter(ends, this.#manifest), sealed },
      merged,
      paths: [...paths, ...transactions],
      count: paths.length,
    };
  }

  /** @returns transactions that nothing live can take effect through any more, too */
  #merge(claims: readonly Claim[]): { merged: MergedLog; transactions: ReadonlySet<string> } {
    const inForce: GuardedOperation[] = [];
    const transactions = new Set<string>();
    for (const claim of claims) {
      if (claim.kind === "data") append(inForce, claim.operations);
      if (claim.kind !== "intent" || transactions.has(claim.txn)) continue;
      const transaction = this.#decided.get(claim.txn);
      if (transaction === undefined) continue;
      const isPart = placesOf(claim, this.#decided, this.#manifest).length > 0;
      if (isInForce(transaction, this.#manifest) && !isPart) continue;
      transactions.add(claim.txn);
      if (isPart && transaction.kind === "commit") append(inForce, transaction.operations);
    }
    return { merged: mergedOf(inForce), transactions };
  }
}

/** Of a write in a lane: the pass goes on without it. A role of before may not write in `ops/`. */
export function isPassedOver(error: unknown): error is Error {
  return error instanceof WriteOutcomeUnknownError || error instanceof AccessDeniedError;
}

/** As of log of which nothing is to be deleted, and that no floor concerns. */
function mergedOf(operations: readonly GuardedOperation[]): MergedLog {
  const winners = new Winners(new HeldLines());
  for (const segment of segmentsOf(operations)) winners.merge(segment);
  return {
    ...NO_LOG,
    entries: winners.entries,
    operations: operations.length,
    created: winners.countCreated(),
    clock: maxOf(
      operations.map(({ operation }) => operation.clock),
      0,
    ),
    schema: maxOf(
      operations.map(({ writer }) => writer.schemaVersion),
      0,
    ),
  };
}
