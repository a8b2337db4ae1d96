/** Segments as they were sent, each by itself, also where several share an object. */
import { isHidden } from "../../src/core/hidden.ts";
import { revisionOf, type Version } from "../../src/core/version.ts";
import { segmentsOf, type Transaction } from "../../src/format/claim.ts";
import { decodeClaim, decodeTransaction } from "../../src/format/claim-decoder.ts";
import {
  type LanePlace,
  parseClaimPath,
  parseLogFilePath,
  parseSegmentPath,
  parseTxnPath,
} from "../../src/format/paths.ts";
import { decodeSegment, decodeSegments } from "../../src/format/segment-decoder.ts";
import { type Segment, versionOf } from "../../src/format/segment.ts";
import { hasForm, plainText } from "./form.ts";

export interface Op {
  readonly id: string;
  /** The stored record; undefined is a deletion. */
  readonly text: string | undefined;
  readonly clock: number;
  readonly agent: string;
  readonly w: string;
  readonly rev: number;
  /** Schema version it was written under. */
  readonly schema: number;
  readonly segment: SegmentRecord;
  /** Of an undo: what it undoes. */
  readonly undoes?: Version | undefined;
  /** Of a guarded operation: what it was decided on. */
  readonly base?: Pick<Op, "clock" | "agent" | "w" | "rev"> | undefined;
}

export interface SegmentRecord {
  readonly path: string;
  readonly etag: string;
  readonly process: string;
  readonly agent: string;
  readonly lo: number;
  /** Lowest clock of what the floor takes or leaves as one: of all that shares its object. */
  readonly objectLo: number;
  /** Appended to a file: the same frame may be appended to another as well. */
  readonly isFrame: boolean;
  /** Of a claim its place, of a transaction those of its claims. Neither the floor nor time applies to it. */
  readonly places: readonly LanePlace[];
  /** It landed on a number which its lane had passed: it never counts. */
  isVoid: boolean;
  readonly ops: readonly Op[];
  landedMs: number | undefined;
  /** The purge floor when it landed first. */
  landedFloor: number;
  isAcked: boolean;
  /** Records in it that have not the form of its schema version. */
  readonly misformed: readonly string[];
  /** Its writer was told that nothing was written. */
  isRejected: boolean;
}

/** What a segment is recorded as when it is sent first. */
export function recordOf(
  segment: Segment,
  sent: Pick<SegmentRecord, "path" | "etag" | "process" | "objectLo" | "places">,
): SegmentRecord {
  const { agent, schemaVersion: v, operations } = segment;
  const misformed: string[] = [];
  const ops: Op[] = [];
  const record: SegmentRecord = {
    ...sent,
    agent,
    lo: sent.places.length === 0 ? (operations[0]?.clock ?? 0) : Infinity,
    isFrame: parseLogFilePath(sent.path) !== undefined,
    isVoid: false,
    ops,
    landedMs: undefined,
    landedFloor: 0,
    isAcked: false,
    misformed,
    isRejected: false,
  };
  for (const operation of operations) {
    const { id, op, data, undoes } = operation;
    // Of calls that run once: judged by themselves.
    if (isHidden(id)) continue;
    const stored = op === "set" ? JSON.stringify(data) : undefined;
    if (stored !== undefined && !hasForm(stored, v)) misformed.push(stored);
    const text = stored && plainText(stored);
    const version = numbersOf(versionOf(segment, operation));
    const base = operation.base && numbersOf(operation.base);
    ops.push({ id, text, ...version, schema: v, segment: record, undoes, base });
  }
  return record;
}

/** A version as the ledger compares it. */
export function numbersOf(version: Version): Pick<Op, "clock" | "agent" | "w" | "rev"> {
  const { clock, agent, writerNonce: w } = version;
  return { clock, agent, w, rev: revisionOf(version) };
}

/** Of a claim its place, of a commit those of its claims, of anything else none. */
export function placesIn(path: string, body: Uint8Array): readonly LanePlace[] {
  const place = parseClaimPath(path);
  if (place !== undefined) return [place];
  const transaction = transactionIn(path, body);
  return transaction?.kind === "commit" ? transaction.at : [];
}

function transactionIn(path: string, body: Uint8Array): Transaction | undefined {
  return parseTxnPath(path) === undefined ? undefined : decodeTransaction(body, path);
}

/** All that an object holds, or one frame. */
export function segmentsIn(path: string, body: Uint8Array): Segment[] {
  const place = parseClaimPath(path);
  if (place !== undefined) {
    const claim = decodeClaim(body, path, place);
    return claim.kind === "data" ? segmentsOf(claim.operations) : [];
  }
  const transaction = transactionIn(path, body);
  if (transaction !== undefined)
    return transaction.kind === "commit" ? segmentsOf(transaction.operations) : [];
  const name = parseSegmentPath(path);
  if (name === undefined) return [decodeSegment(body, { path, offset: 0 })];
  return decodeSegments(body, { path, range: undefined, lo: name.lo, hi: name.hi });
}
