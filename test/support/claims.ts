/** Claims as tests write them. */
import type { LogOperation } from "../../src/core/operation.ts";
import { laneOf } from "../../src/core/lane.ts";
import { nextRevision, type Version } from "../../src/core/version.ts";
import {
  type Claim,
  encodeClaim,
  encodeTransaction,
  type GuardedOperation,
  type Recent,
  type Transaction,
} from "../../src/format/claim.ts";
import { type LanePlace } from "../../src/format/paths.ts";

/** The n-th id of its kind whose lane this is. */
export function idOf(lane: number, n = 0, kind = "id"): string {
  for (let at = 0, left = n; ; at++) {
    const id = `${kind}-${at}`;
    if (laneOf(id) === lane && left-- === 0) return id;
  }
}

export const NO_RECENT = (n: number): Recent => ({ from: n, ids: new Map() });

/** What a record is before its first write, by the view of a guarded one (STAND). */
export function absentAt(purgeFloor: number): Version {
  return { clock: purgeFloor + 1, agent: "", writerNonce: "" };
}

const WRITER = { agent: "guard", writerNonce: "9".repeat(16), schemaVersion: 1 };

/** @param data undefined: it is deleted */
export function guarded(
  id: string,
  base: Version,
  data: unknown,
  more: Partial<LogOperation> = {},
  writer: Partial<GuardedOperation["writer"]> = {},
): GuardedOperation {
  const operation = {
    ts: "2026-11-30T00:00:00.000Z",
    op: data === undefined ? ("delete" as const) : ("set" as const),
    id,
    clock: base.clock,
    base,
    ...(data === undefined ? {} : { data }),
    ...more,
  };
  return { writer: { ...WRITER, ...writer }, operation };
}

/** The version of an operation. */
export function versionAfter({ operation }: GuardedOperation): Version {
  return nextRevision(operation.base);
}

function textsOf(operations: readonly GuardedOperation[]): (string | undefined)[] {
  return operations.map(({ operation: { data } }) =>
    data === undefined ? undefined : JSON.stringify(data),
  );
}

export function claimBytes(claim: Claim): Buffer {
  return encodeClaim(claim, claim.kind === "data" ? textsOf(claim.operations) : []);
}

export function transactionBytes(transaction: Transaction): Buffer {
  const texts = transaction.kind === "commit" ? textsOf(transaction.operations) : [];
  return encodeTransaction(transaction, texts);
}

let nonces = 0;

/** Another one each time. */
export function nonce(): string {
  return (nonces++).toString(16).padStart(16, "0");
}

/** A claim of data, by which nothing is known of the claims before it. */
export function dataClaim(
  { lane, n }: LanePlace,
  operations: readonly GuardedOperation[],
  more: { readonly reads?: readonly string[]; readonly recent?: Recent } = {},
): Claim {
  const { reads = [], recent = NO_RECENT(n) } = more;
  return { kind: "data", lane, n, nonce: nonce(), recent, reads, operations };
}
