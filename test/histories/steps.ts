/** Operations in the form that the search works on: conditions on what records hold, and effects. */
import type { Action, Made, Operation, PlainRule } from "./history.ts";

/** Whether a record that holds this fits. */
export type Condition = (state: State) => boolean;

export interface Test {
  readonly id: string;
  readonly holds: Condition;
}

/** What a record holds: what an operation made of it. */
export interface State extends Omit<Made, "id"> {
  readonly calledMs: number;
}

export interface Step {
  readonly operation: Operation;
  /** It takes effect at one moment from then on … */
  readonly fromMs: number;
  /** … until then; Infinity: at any, if it is optional, or never. */
  readonly untilMs: number;
  readonly isOptional: boolean;
  readonly tests: readonly Test[];
  readonly effects: readonly Made[];
}

/** A plain write that is in no order with others: whoever looks may see it, while nothing is above. */
export interface Ghost extends Made {
  readonly calledMs: number;
}

/** What is to be brought into an order. */
export interface Problem {
  readonly steps: readonly Step[];
  readonly ghosts: readonly Ghost[];
  readonly rule: PlainRule;
}

export const NOTHING: State = { value: undefined, version: undefined, calledMs: -Infinity };

/** @param isAcross over several records, where plain writes by version are in no order */
export function problemOf(
  operations: readonly Operation[],
  rule: PlainRule,
  isAcross: boolean,
): Problem {
  const known = new Set(operations.flatMap(versionsOf));
  const steps: Step[] = [];
  const ghosts: Ghost[] = [];
  for (const operation of operations) {
    const { action, calledMs, returnedMs } = operation;
    const isOptional = returnedMs === undefined;
    const { tests, effects } = partsOf(action, known);
    if (rule === "by version") effects.forEach(checkVersion);
    // What was read of an unknown outcome nobody was told.
    if (isOptional && effects.length === 0) continue;
    if (action.kind === "plain" && rule === "by version" && (isAcross || isOptional)) {
      ghosts.push({ ...action, calledMs });
      continue;
    }
    const untilMs = returnedMs ?? Infinity;
    steps.push({ operation, fromMs: fromOf(operation, rule), untilMs, isOptional, tests, effects });
  }
  return { steps, ghosts, rule };
}

/** What concerns one record. */
export function onto(problem: Problem, id: string): Problem {
  const steps = problem.steps.flatMap((step) => {
    const tests = step.tests.filter((test) => test.id === id);
    const effects = step.effects.filter((effect) => effect.id === id);
    const isEmpty = effects.length === 0 && (step.isOptional || tests.length === 0);
    return isEmpty ? [] : [{ ...step, tests, effects }];
  });
  return { ...problem, steps, ghosts: problem.ghosts.filter((ghost) => ghost.id === id) };
}

function fromOf({ action, calledMs }: Operation, rule: PlainRule): number {
  if (action.kind !== "plain" || rule === "in time") return calledMs;
  return Math.min(calledMs, action.sinceMs ?? -Infinity);
}

export function partsOf(
  action: Action,
  known: ReadonlySet<string>,
): { readonly tests: readonly Test[]; readonly effects: readonly Made[] } {
  switch (action.kind) {
    case "read":
      return { tests: [valueIs(action)], effects: [] };
    case "plain":
      return { tests: [], effects: [action] };
    case "compare-and-set": {
      const { id, expected, succeeded } = action;
      const isMet: Condition = ({ value, version }) => {
        if (expected === undefined) return value === undefined;
        return value !== undefined && (version ?? expected) === expected;
      };
      // A version that nobody was told may be the expected one, unless that is another's.
      const isUnsure: Condition = ({ value, version }) =>
        expected !== undefined && value !== undefined && version === undefined;
      const holds: Condition = succeeded
        ? (state) => isMet(state) && !(isUnsure(state) && known.has(expected ?? ""))
        : (state) => !isMet(state) || isUnsure(state);
      return { tests: [{ id, holds }], effects: succeeded ? [action] : [] };
    }
    case "update": {
      const { id, from } = action;
      return { tests: [valueIs({ id, value: from })], effects: [action] };
    }
    case "transaction":
      return { tests: action.reads.map(valueIs), effects: action.writes };
  }
}

function valueIs({ id, value }: Pick<Made, "id" | "value">): Test {
  return { id, holds: (state) => state.value === value };
}

function versionsOf({ action }: Operation): string[] {
  const writes =
    action.kind === "transaction" ? action.writes : action.kind === "read" ? [] : [action];
  return writes.flatMap(({ version }) => (version === undefined ? [] : [version]));
}

function checkVersion({ id, value, version }: Made): void {
  if (version !== undefined) return;
  throw new Error(`a write of ${id}: ${value ?? "absent"} has no version to be ordered by`);
}
