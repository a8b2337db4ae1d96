/**
 * The definition itself, for histories of a few operations: tries all orders. It shares nothing with
 * the checker but the form of histories.
 */
import type { Made, Operation, PlainRule, Value } from "./history.ts";

interface Held {
  readonly value: Value;
  readonly version: string | undefined;
  /** When it was called to be there. */
  readonly calledMs: number;
}

type Records = ReadonlyMap<string, Held>;

const ABSENT: Held = { value: undefined, version: undefined, calledMs: -Infinity };

/**
 * Whether some order explains everything.
 * @param isAcross over several records: plain writes by version are in no order
 */
export function hasOrder(
  operations: readonly Operation[],
  rule: PlainRule,
  isAcross: boolean,
): boolean {
  const vanishing = operations.filter(
    ({ action, returnedMs }) =>
      rule === "by version" && action.kind === "plain" && (isAcross || returnedMs === undefined),
  );
  const others = operations.filter((one) => !vanishing.includes(one));
  return extend({ rest: others, records: new Map(), vanishing, rule });
}

interface Partial {
  readonly rest: readonly Operation[];
  readonly records: Records;
  /** Plain writes that may be seen without being there. */
  readonly vanishing: readonly Operation[];
  readonly rule: PlainRule;
}

function extend({ rest, records, vanishing, rule }: Partial): boolean {
  if (rest.every(({ returnedMs }) => returnedMs === undefined)) return true;
  return rest.some((next) => {
    const others = rest.filter((one) => one !== next);
    const isTooEarly = others.some(({ returnedMs }) => (returnedMs ?? Infinity) < from(next, rule));
    if (isTooEarly) return false;
    const after = apply(next, { records, vanishing, rule });
    return after !== undefined && extend({ rest: others, records: after, vanishing, rule });
  });
}

function from({ action, calledMs }: Operation, rule: PlainRule): number {
  const isFree = rule === "by version" && action.kind === "plain";
  return isFree ? (action.sinceMs ?? -Infinity) : calledMs;
}

/** The records after it; undefined: it cannot have been told what it was. */
function apply(operation: Operation, given: Omit<Partial, "rest">): Records | undefined {
  const { action } = operation;
  const holds = (id: string, isRight: (held: Held) => boolean): boolean =>
    visible(id, operation, given).some(isRight);
  const isValue = ({ id, value }: Made): boolean => holds(id, (held) => held.value === value);
  switch (action.kind) {
    case "read":
      return isValue(action) ? given.records : undefined;
    case "plain":
      return write(operation, [action], given);
    case "compare-and-set": {
      const { id, expected, succeeded } = action;
      const isMet = ({ value, version }: Held): boolean =>
        expected === undefined ? value === undefined : value !== undefined && version === expected;
      if (!holds(id, (held) => isMet(held) === succeeded)) return undefined;
      return succeeded ? write(operation, [action], given) : given.records;
    }
    case "update":
      return isValue({ id: action.id, value: action.from })
        ? write(operation, [action], given)
        : undefined;
    case "transaction":
      return action.reads.every(isValue) ? write(operation, action.writes, given) : undefined;
  }
}

/** What somebody who looks then may find: nothing that is called after they have returned. */
function visible(id: string, { returnedMs }: Operation, given: Omit<Partial, "rest">): Held[] {
  const there = given.records.get(id) ?? ABSENT;
  const passing = given.vanishing.flatMap(({ action, calledMs }) => {
    if (action.kind !== "plain" || action.id !== id) return [];
    const isAbove = (there.version ?? "") < (action.version ?? "");
    return isAbove ? [{ value: action.value, version: action.version, calledMs }] : [];
  });
  return [there, ...passing].filter(({ calledMs }) => calledMs <= (returnedMs ?? Infinity));
}

function write(
  { calledMs }: Operation,
  made: readonly Made[],
  { records, rule }: Omit<Partial, "rest">,
): Records | undefined {
  const after = new Map(records);
  for (const { id, value, version } of made) {
    const before = records.get(id)?.version ?? "";
    if (rule === "by version" && (version ?? "") <= before) return undefined;
    after.set(id, { value, version, calledMs });
  }
  return after;
}
