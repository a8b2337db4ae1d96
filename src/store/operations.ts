/** Operations as callers ask for them. */
import { checkUserId } from "../core/hidden.ts";
import { copyRecord } from "../core/record.ts";
import type { StagedOperation } from "../session/memtable.ts";

/** @throws InvalidArgumentError */
export function setOperation(id: string, value: unknown): StagedOperation {
  return { op: "set", id: checkUserId(id), ...copyRecord(id, value) };
}

export function deletion(id: string): StagedOperation {
  return { op: "delete", id, text: undefined, value: undefined };
}
