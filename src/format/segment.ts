/**
 * A segment: one flush of one writer, one header line and `count` operation lines. On S3 it is an
 * object of its own, or lies in one with those that were flushed together with it; on a directory
 * it is a frame of a log file. The bytes are the same (FORMAT, "Segment").
 *
 * It is encoded in two steps: its lines, and then, once its name is known, the header with its `w`.
 * `segment-decoder.ts` reads it.
 */
import { hash } from "node:crypto";
import { assert } from "../core/assert.ts";
import type { LogOperation } from "../core/operation.ts";
import { nextRevision, type Version } from "../core/version.ts";
import { checksumOf, FORMAT, sealLine } from "./json-line.ts";
import { clocksPlausible, encodeFilter } from "./paths.ts";
import { encodeVersionArray } from "./version-codec.ts";

export interface Segment {
  /** The agentId, "" in single-writer mode. */
  readonly agent: string;
  readonly writerNonce: string;
  /** Schema version the records were written under. */
  readonly schemaVersion: number;
  readonly operations: readonly LogOperation[];
}

/** What the header and the line of an operation hold together; VERSION for a guarded one. */
export function versionOf(
  { agent, writerNonce }: Pick<Segment, "agent" | "writerNonce">,
  { clock, base }: Pick<LogOperation, "clock" | "base">,
): Version {
  return base === undefined ? { clock, agent, writerNonce } : nextRevision(base);
}

/**
 * One line of the log; `text` is the record's stored form, so that it is serialised once.
 * @param order what the line holds of the operation's version
 */
export function encodeOperation(
  operation: LogOperation,
  text: string | undefined,
  order: object = { clock: operation.clock },
): string {
  const { ts, op, id, prev, encoding } = operation;
  const undoes = operation.undoes && encodeVersionArray(operation.undoes);
  const head = JSON.stringify({ ts, op, id, ...order, undoes, prev, encoding });
  return text === undefined ? head : `${head.slice(0, -1)},"data":${text}}`;
}

/** What a flush holds, before it has a name: the same under every name that it may get. */
export interface SegmentBody {
  /** The operation lines. */
  readonly bytes: Buffer;
  readonly count: number;
  readonly lo: number;
  readonly hi: number;
  /** The filter as a name carries it. */
  readonly filter: string;
}

/** @param lines operation lines made by `encodeOperation`, in the order of `operations` */
export function encodeBody(
  operations: readonly LogOperation[],
  lines: readonly string[],
): SegmentBody {
  const [first, last] = [operations[0], operations.at(-1)];
  assert(first !== undefined && last !== undefined, "a segment holds at least one operation");
  assert(lines.length === operations.length, "one line per operation");
  const bytes = Buffer.from(`${lines.join("\n")}\n`);
  const filter = encodeFilter(new Set(operations.map(({ id }) => id)));
  return { bytes, count: operations.length, lo: first.clock, hi: last.clock, filter };
}

/**
 * Header and lines of a segment.
 * @param together how many segments share the object
 */
export function sealSegment(
  { agent, writerNonce, schemaVersion }: Pick<Segment, "agent" | "writerNonce" | "schemaVersion">,
  { bytes: body, count, lo, hi, filter }: SegmentBody,
  together = 1,
): Buffer {
  // The decoder's rules: what no decoder can read must not be acknowledged.
  assert(
    Number.isSafeInteger(schemaVersion) && schemaVersion >= 1,
    `schema version ${schemaVersion}`,
  );
  assert(/^[0-9a-f]{16}$/.test(writerNonce), `w must be 16 hex digits, found ${writerNonce}`);
  assert(clocksPlausible({ lo, hi }), `clocks ${lo}..${hi}`);
  const header = {
    format: FORMAT,
    kind: "segment",
    agent,
    w: writerNonce,
    v: schemaVersion,
    count,
    lo,
    hi,
    bytes: body.length,
    filter,
    ...(together === 1 ? {} : { together }),
  };
  return Buffer.concat([Buffer.from(`${sealLine(JSON.stringify(header), body)}\n`), body]);
}

/**
 * The `w` of versions: no two flushes of any process or its clones have the same (VERSION-UNIQUE).
 * A clone of this process (a restored VM snapshot) has drawn the same digits and takes the same clocks, but
 * what it writes has another name or other bytes.
 * @param drawn 16 random hex digits of the writer
 * @param name of the object, whole, or of the place in a log file
 * @param lines the operation lines, which do not contain `w`
 * @returns 16 hex digits
 */
export function versionNonce(drawn: string, name: string, lines: Buffer): string {
  const sum = checksumOf(lines);
  return hash("sha256", `${drawn} ${name} ${sum}`).slice(0, drawn.length);
}
