/** Why a history has no order: as few of its operations as have none by themselves. */
import { describeOperation, type Operation } from "./history.ts";
import type { Result } from "./search.ts";
import { NOTHING, partsOf } from "./steps.ts";

export interface Explanation {
  readonly operations: readonly Operation[];
  readonly message: string;
}

/** Each attempt to do without some of the operations may take so many steps. */
const BUDGET = 20_000;

type Decide = (operations: readonly Operation[], budget: number) => Result;

/**
 * An operation is left out by not asking any more what it was told: a read is gone, of a write nobody
 * knows whether it took effect. That only permits more, so what is still violated was so before.
 */
export function explain(operations: readonly Operation[], decide: Decide): Explanation {
  const isViolated = (some: readonly Operation[]): boolean =>
    decide(some, BUDGET).answer === "violated";
  let kept = earliest(operations, isViolated);
  for (let size = Math.ceil(required(kept).length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < required(kept).length;) {
      const left = new Set(required(kept).slice(at, at + size));
      const fewer = kept.flatMap((one) => (left.has(one) ? forgotten(one) : [one]));
      if (isViolated(fewer)) kept = fewer;
      else at += size;
    }
  }
  const told = required(kept);
  const others = kept.filter((one) => !told.includes(one) && told.some((by) => sees(by, one)));
  const shown = [...told, ...others].toSorted((a, b) => a.calledMs - b.calledMs);
  const message = [
    "no order explains these operations, whether those of unknown outcome took effect or not:",
    ...shown.map(describeOperation),
  ];
  return { operations: shown, message: message.join("\n  ") };
}

function required(operations: readonly Operation[]): Operation[] {
  return operations.filter(({ returnedMs }) => returnedMs !== undefined);
}

/** The history up to the first moment at which it has no order any more. */
function earliest(
  operations: readonly Operation[],
  isViolated: (operations: readonly Operation[]) => boolean,
): readonly Operation[] {
  const moments = required(operations).map(({ returnedMs = 0 }) => returnedMs);
  moments.sort((a, b) => a - b);
  let [low, high] = [0, moments.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isViolated(until(operations, moments[middle] ?? Infinity))) high = middle;
    else low = middle + 1;
  }
  const cut = until(operations, moments[low] ?? Infinity);
  return isViolated(cut) ? cut : operations;
}

function until(operations: readonly Operation[], moment: number): Operation[] {
  return operations
    .filter(({ calledMs }) => calledMs <= moment)
    .flatMap((one) =>
      one.returnedMs === undefined || one.returnedMs <= moment ? [one] : forgotten(one),
    );
}

function forgotten(operation: Operation): Operation[] {
  const { effects } = partsOf(operation.action, new Set());
  return effects.length === 0 ? [] : [{ ...operation, returnedMs: undefined }];
}

/** Whether an operation may have been told what it was because of another. */
function sees(by: Operation, other: Operation): boolean {
  const { tests } = partsOf(by.action, new Set());
  const { effects } = partsOf(other.action, new Set());
  return tests.some(({ id, holds }) =>
    effects.some((made) => made.id === id && holds({ ...NOTHING, ...made }) && !holds(NOTHING)),
  );
}
