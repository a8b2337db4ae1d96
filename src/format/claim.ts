/**
 * Claims: the objects at the numbers of a lane, and transactions, which claims may name (FORMAT,
 * "Claims"). Each begins with a sealed line; operations follow as in a segment.
 * `claim-decoder.ts` reads them.
 */
import { assert } from "../core/assert.ts";
import type { LogOperation } from "../core/operation.ts";
import { compareText, type Version } from "../core/version.ts";
import { decodeClaim, decodeTransaction } from "./claim-decoder.ts";
import { checkReadable, FORMAT, sealLine } from "./json-line.ts";
import { type LanePlace, laneText } from "./paths.ts";
import { encodeOperation, type Segment } from "./segment.ts";
import { encodeBase } from "./version-codec.ts";

/** Who wrote an operation, for history and undo; a version tells whose write was replaced. */
export type GuardedWriter = Pick<Segment, "agent" | "writerNonce" | "schemaVersion">;

export interface GuardedOperation {
  readonly writer: GuardedWriter;
  /** Its `clock` is that of its base. */
  readonly operation: LogOperation & { readonly base: Version };
}

/** Which claims before this one name a record, by the hashes of ids as in names of segments. */
export interface Recent {
  /** The lowest number that was looked at; the claim's own: none was. */
  readonly from: number;
  /** By the hash of an id: the highest number from `from` on whose claim names the id. */
  readonly ids: ReadonlyMap<string, number>;
}

interface ClaimHead extends LanePlace {
  /** 16 hex digits, new for every attempt: no other claim has the same bytes. */
  readonly nonce: string;
  readonly recent: Recent;
}

/** Operations on records of the lane, which are in force because it is there. */
export interface DataClaim extends ClaimHead {
  readonly kind: "data";
  /** Ids that were only read, ascending. */
  readonly reads: readonly string[];
  /** Several on one id: each on what the one before it left. */
  readonly operations: readonly GuardedOperation[];
}

/** What a transaction reads and writes in the lane. */
export interface IntentClaim extends ClaimHead {
  readonly kind: "intent";
  /** Path of the transaction. */
  readonly txn: string;
  /** Ids that are only read, and those that are written, each ascending. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
}

/** Holds nothing, and names every id. */
export interface SealClaim extends ClaimHead {
  readonly kind: "seal";
}

export type Claim = DataClaim | IntentClaim | SealClaim;

/** Ids that a claim reads or writes. A seal concerns every id, and writes none. */
export function namesOf(claim: Claim): readonly string[] {
  switch (claim.kind) {
    case "seal":
      return [];
    case "intent":
      return [...claim.reads, ...claim.writes];
    case "data":
      return [...claim.reads, ...claim.operations.map(({ operation }) => operation.id)];
  }
}

/** What became of a transaction. */
export type Transaction =
  | {
      readonly kind: "commit";
      readonly nonce: string;
      /** Its intents, in the order of their lanes. */
      readonly at: readonly LanePlace[];
      readonly operations: readonly GuardedOperation[];
    }
  | { readonly kind: "abort"; readonly nonce: string };

/** The operations as segments, each of one writer. */
export function segmentsOf(operations: readonly GuardedOperation[]): Segment[] {
  const segments: (GuardedWriter & { operations: LogOperation[] })[] = [];
  for (const { writer, operation } of operations) {
    const last = segments.at(-1);
    if (last !== undefined && isSameWriter(last, writer)) last.operations.push(operation);
    else segments.push({ ...pick(writer), operations: [operation] });
  }
  return segments;
}

function pick({ agent, writerNonce, schemaVersion }: GuardedWriter): GuardedWriter {
  return { agent, writerNonce, schemaVersion };
}

function isSameWriter(a: GuardedWriter, b: GuardedWriter): boolean {
  return (
    compareText(a.agent, b.agent) === 0 &&
    a.writerNonce === b.writerNonce &&
    a.schemaVersion === b.schemaVersion
  );
}

/** @param texts the stored forms of the records, in the order of a data claim's operations */
export function encodeClaim(claim: Claim, texts: readonly (string | undefined)[] = []): Buffer {
  const bytes = encode(claim, texts);
  checkReadable(`lane ${laneText(claim.lane)}`, () => decodeClaim(bytes, "claim", claim));
  return bytes;
}

function encode(claim: Claim, texts: readonly (string | undefined)[]): Buffer {
  const { lane, n, nonce } = claim;
  const place = { format: FORMAT, kind: claim.kind, lane: laneText(lane), n };
  const recent = encodeRecent(claim.recent);
  if (claim.kind === "seal") return sealed({ ...place, nonce, recent });
  const { reads } = claim;
  if (claim.kind === "intent") {
    const { txn, writes } = claim;
    return sealed({ ...place, txn, reads, writes, nonce, recent });
  }
  const { head, body } = encodeOperations(claim.operations, texts);
  return sealed({ ...place, kind: "claim", ...head, nonce, reads, recent }, body);
}

/** @param texts as for `encodeClaim` */
export function encodeTransaction(
  transaction: Transaction,
  texts: readonly (string | undefined)[] = [],
): Buffer {
  const { kind, nonce } = transaction;
  const start = { format: FORMAT, kind };
  if (transaction.kind === "abort") return sealed({ ...start, nonce });
  const at = transaction.at.map(({ lane, n }) => [laneText(lane), n]);
  const { head, body } = encodeOperations(transaction.operations, texts);
  const bytes = sealed({ ...start, at, ...head, nonce }, body);
  checkReadable("a transaction", () => decodeTransaction(bytes, "txn"));
  return bytes;
}

function encodeRecent({ from, ids }: Recent): object {
  const sorted = [...ids].toSorted(([a], [b]) => compareText(a, b));
  return { from, ids: sorted };
}

function encodeOperations(
  operations: readonly GuardedOperation[],
  texts: readonly (string | undefined)[],
): { readonly head: object; readonly body: Buffer } {
  const first = operations[0]?.writer;
  assert(first !== undefined, "a claim of data holds at least one operation");
  assert(texts.length === operations.length, "one text per operation");
  const lines = operations.map(({ writer, operation }, at) => {
    const own = {
      ...(writer.agent === first.agent ? {} : { agent: writer.agent }),
      ...(writer.writerNonce === first.writerNonce ? {} : { w: writer.writerNonce }),
      ...(writer.schemaVersion === first.schemaVersion ? {} : { v: writer.schemaVersion }),
    };
    const order = { base: encodeBase(operation.base), ...own };
    return `${encodeOperation(operation, texts[at], order)}\n`;
  });
  const body = Buffer.from(lines.join(""));
  const { agent, writerNonce: w, schemaVersion: v } = first;
  return { head: { agent, w, v, count: operations.length, bytes: body.length }, body };
}

function sealed(header: object, body: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from(`${sealLine(JSON.stringify(header), body)}\n`), body]);
}
