/** Builds one flush out of pending writes: clocks, previous values, lines. Pure. */
import { createDelta, isDeltaSmaller } from "../core/delta.ts";
import { RecordNotFoundError } from "../core/errors.ts";
import type { LogOperation } from "../core/operation.ts";
import { encodeOperation } from "../format/segment.ts";
import type { StagedOperation } from "./memtable.ts";

/** What one call wrote: one operation, or a batch that is durable whole or not at all. */
export interface PendingWrite {
  readonly operations: readonly StagedOperation[];
}

export interface BuiltWrite<P extends PendingWrite> {
  readonly write: P;
  readonly operations: readonly LogOperation[];
}

export interface BuiltFlush<P extends PendingWrite> {
  readonly built: readonly BuiltWrite<P>[];
  readonly lines: readonly string[];
  /** Writes that cannot be done: they delete what is not there. */
  readonly refused: readonly { readonly write: P; readonly error: RecordNotFoundError }[];
}

export interface FlushContext {
  /** Clock of the first operation. */
  readonly first: number;
  readonly ts: string;
  /** The durable record; undefined when there is none; "unknown" under blind writes. */
  durable(id: string): { readonly value: unknown } | "unknown";
}

export function buildFlush<P extends PendingWrite>(
  writes: readonly P[],
  context: FlushContext,
): BuiltFlush<P> {
  const built: BuiltWrite<P>[] = [];
  const lines: string[] = [];
  const refused: { write: P; error: RecordNotFoundError }[] = [];
  /** What this flush has made of a record so far. */
  const current = new Map<string, unknown>();
  let { first: clock } = context;
  for (const write of writes) {
    const missing = findMissing(write, current, context);
    if (missing !== undefined) {
      refused.push({ write, error: new RecordNotFoundError(missing) });
      continue;
    }
    const operations = write.operations.map((staged) => {
      const operation = buildOperation(staged, clock++, current, context);
      lines.push(encodeOperation(operation, staged.text));
      current.set(staged.id, staged.value);
      return operation;
    });
    built.push({ write, operations });
  }
  return { built, lines, refused };
}

/** The first id that a write deletes although nothing is there. */
function findMissing(
  { operations }: PendingWrite,
  current: ReadonlyMap<string, unknown>,
  context: FlushContext,
): string | undefined {
  const after = new Map<string, unknown>();
  for (const { op, id, value } of operations) {
    const before = after.has(id) ? { value: after.get(id) } : valueBefore(id, current, context);
    if (op === "delete" && before !== "unknown" && before.value === undefined) return id;
    after.set(id, value);
  }
  return undefined;
}

function valueBefore(
  id: string,
  current: ReadonlyMap<string, unknown>,
  context: FlushContext,
): { readonly value: unknown } | "unknown" {
  return current.has(id) ? { value: current.get(id) } : context.durable(id);
}

function buildOperation(
  { op, id, value, undoes }: StagedOperation,
  clock: number,
  current: ReadonlyMap<string, unknown>,
  context: FlushContext,
): LogOperation {
  const before = valueBefore(id, current, context);
  const data = op === "set" ? { data: value } : {};
  const mark = undoes === undefined ? {} : { undoes };
  return { ts: context.ts, op, id, clock, ...mark, ...previous(before, value), ...data };
}

/** `prev`: the record before, null for a create, a reverse patch where that is shorter. */
function previous(
  before: { readonly value: unknown } | "unknown",
  next: unknown,
): Pick<LogOperation, "prev" | "encoding"> {
  if (before === "unknown") return {};
  if (before.value === undefined) return { prev: null };
  if (before.value === null) return { prev: null, encoding: "value" };
  const delta = next === undefined ? null : createDelta(before.value, next);
  if (delta === null || !isDeltaSmaller(delta, before.value)) return { prev: before.value };
  return { prev: delta, encoding: "delta" };
}
