/** Claims and transactions among the names of the log (PROTOCOL, "Guarded writes"). */
import { CorruptionError } from "../core/errors.ts";
import type { Claim, Transaction } from "../format/claim.ts";
import { decodeClaim, decodeTransaction } from "../format/claim-decoder.ts";
import { claimPath, type LanePlace, parseClaimPath, parseTxnPath } from "../format/paths.ts";
import type { Dated, ListedObject, StorageBackend } from "../storage/backend.ts";
import type { ClaimRef } from "./log.ts";

export { type ClaimRef, isClaim } from "./log.ts";

/**
 * FLOOR and RELOAD do not apply to a claim, whose versions are those of records long before it, and
 * writers take no clocks from it: so its clocks are above every floor, and below every clock.
 * @param bytes 0 if it was not listed
 */
export function claimRef(claim: LanePlace, bytes = 0): ClaimRef {
  const path = claimPath(claim);
  return { key: path, path, range: undefined, lo: Infinity, hi: 0, filter: "any", bytes, claim };
}

/** What a listing shows of lanes. */
export interface ListedLanes {
  readonly claims: readonly ClaimRef[];
  /** Paths of transactions. */
  readonly transactions: readonly string[];
}

/** Takes what is a claim or a transaction. @returns whether it is one */
export function takeLaneObject(
  { path, bytes }: ListedObject,
  taken: { readonly claims: ClaimRef[]; readonly transactions: string[] },
): boolean {
  const claim = parseClaimPath(path);
  if (claim !== undefined) taken.claims.push(claimRef(claim, bytes));
  else if (parseTxnPath(path) !== undefined) taken.transactions.push(path);
  else return false;
  return true;
}

/** What a read of a name of a lane, or of a transaction, found. */
export type LaneRead<T> = Dated &
  (
    | { readonly status: "found"; readonly value: T; readonly lastModifiedMs: number }
    | { readonly status: "absent" }
    | { readonly status: "corrupt"; readonly error: CorruptionError }
  );

/** @throws FormatVersionError, and what the backend throws */
export function readClaim(
  backend: StorageBackend,
  { path, claim }: Pick<ClaimRef, "path" | "claim">,
): Promise<LaneRead<Claim>> {
  return readAs(backend, path, (bytes) => decodeClaim(bytes, path, claim));
}

/** @throws as `readClaim` */
export function readTransaction(
  backend: StorageBackend,
  path: string,
): Promise<LaneRead<Transaction>> {
  return readAs(backend, path, (bytes) => decodeTransaction(bytes, path));
}

async function readAs<T>(
  backend: StorageBackend,
  path: string,
  decode: (bytes: Uint8Array) => T,
): Promise<LaneRead<T>> {
  const found = await backend.get(path);
  const { dateMs } = found;
  if (found.status !== "found") return { status: "absent", dateMs };
  try {
    const { body, lastModifiedMs } = found;
    return { status: "found", value: decode(body), dateMs, lastModifiedMs };
  } catch (error) {
    if (error instanceof CorruptionError) return { status: "corrupt", error, dateMs };
    throw error;
  }
}
