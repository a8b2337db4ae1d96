/** One line of a legacy log. */
import { isDelta } from "../core/delta.ts";
import { InvalidArgumentError } from "../core/errors.ts";
import { checkId } from "../core/record.ts";
import type { LogOperation } from "../core/operation.ts";
import { CLOCK_MAX } from "../core/version.ts";

export interface LegacyOperation {
  /** The agentId, "" in single-writer mode. */
  readonly agent: string;
  /** Undefined in single-writer mode. */
  readonly clock: number | undefined;
  readonly operation: Omit<LogOperation, "clock">;
}

/** No writer counts that far; it leaves room for the clocks that follow. */
const LEGACY_CLOCK_MAX = CLOCK_MAX / 2;

/**
 * Takes what the original's writers write and acknowledge, which is more than its own reader
 * takes: it loses records that are null, and operations whose `prev` is no object.
 * @throws InvalidArgumentError, SyntaxError when the line is malformed
 */
export function decodeLegacyOperation(line: string): LegacyOperation {
  const value: unknown = JSON.parse(line);
  if (typeof value !== "object" || value === null || Array.isArray(value)) fail("not an object");
  const fields: Readonly<Record<string, unknown>> = { ...value };
  const has = (name: string): boolean => Object.hasOwn(fields, name);
  const { ts, op, id, data, prev } = fields;
  if (typeof ts !== "string" || ts === "") return fail("ts must be a non-empty string");
  if (op !== "set" && op !== "delete") return fail('op must be "set" or "delete"');
  if (!has("prev")) fail("missing prev");
  if (has("data") !== (op === "set")) fail(`a ${op} with or without data`);
  const record = op === "set" ? { data } : {};
  const checked: LegacyOperation["operation"] = { ts, op, id: checkId(id), ...record, prev };
  const encoding = encodingOf(op, prev, fields["encoding"]);
  return {
    agent: has("agent") ? agentOf(fields["agent"]) : "",
    clock: has("clock") ? clockOf(fields["clock"]) : undefined,
    operation: encoding === undefined ? checked : { ...checked, encoding },
  };
}

/** `prev` null of a delete is the record null: what is absent cannot be deleted. */
function encodingOf(
  op: "set" | "delete",
  prev: unknown,
  encoding: unknown,
): LogOperation["encoding"] {
  if (encoding === "delta") return isDelta(prev) ? "delta" : fail("prev must be a delta");
  if (encoding !== undefined && encoding !== "full") fail('encoding must be "full" or "delta"');
  return op === "delete" && prev === null ? "value" : undefined;
}

function agentOf(agent: unknown): string {
  if (typeof agent === "string" && agent !== "") return agent;
  return fail("agent must be a non-empty string");
}

function clockOf(clock: unknown): number {
  const isCount = typeof clock === "number" && Number.isInteger(clock) && clock >= 0;
  if (isCount && clock <= LEGACY_CLOCK_MAX) return clock;
  return fail("clock must be a non-negative integer");
}

function fail(reason: string): never {
  throw new InvalidArgumentError(reason);
}
