/** Histories of real executions, one operation after the other, and histories in which one thing is wrong. */
import fc from "fast-check";
import type { Action, Made, Operation, PlainRule, Value } from "./history.ts";

export const SEED = 20_261_130;

const IDS = ["x", "y"] as const;
const KINDS = ["read", "plain", "compare-and-set", "refused", "update", "transaction"] as const;
/** Between the moments at which two operations take effect. */
const STEP_MS = 10;

const drawn = fc.record({
  kind: fc.constantFrom(...KINDS),
  at: fc.nat({ max: IDS.length - 1 }),
  isDeletion: fc.boolean(),
  beforeMs: fc.nat({ max: 25 }),
  afterMs: fc.nat({ max: 25 }),
  fate: fc.constantFrom(
    "returns",
    "returns",
    "returns",
    "returns",
    "unknown",
    "unknown, and nothing",
  ),
  isHidden: fc.boolean(),
  isMixed: fc.boolean(),
});

type Drawn = typeof drawn extends fc.Arbitrary<infer T> ? T : never;

interface Held {
  readonly value: Value;
  readonly version: string | undefined;
}

/** What a store that does one thing at a time would record. */
class Execution {
  readonly operations: Operation[] = [];
  readonly #rule: PlainRule;
  readonly #records = new Map<string, Held>();
  #made = 0;

  constructor(rule: PlainRule) {
    this.#rule = rule;
  }

  execute(one: Drawn): void {
    const momentMs = ++this.#made * STEP_MS;
    const isUnknown = one.fate !== "returns";
    const records = new Map(this.#records);
    const action = this.#act(one);
    if (one.fate === "unknown, and nothing") this.#restore(records);
    this.operations.push({
      process: `p${this.#made}`,
      calledMs: momentMs - one.beforeMs,
      returnedMs: isUnknown ? undefined : momentMs + one.afterMs,
      action,
    });
  }

  #restore(records: ReadonlyMap<string, Held>): void {
    for (const id of this.#records.keys()) this.#records.delete(id);
    for (const [id, held] of records) this.#records.set(id, held);
  }

  #act({ kind, at, isDeletion, isHidden, isMixed }: Drawn): Action {
    const id = IDS[at] ?? "x";
    const other = IDS[1 - at] ?? "y";
    const { value: from, version: expected } = this.#held(id);
    const value = isDeletion ? undefined : `value ${this.#made}`;
    switch (kind) {
      case "read":
        return { kind, id, value: from };
      case "plain":
        return {
          kind,
          ...this.#write(id, value, this.#rule === "by version" && isHidden ? "hidden" : "plain"),
        };
      case "compare-and-set": {
        const condition = from === undefined ? undefined : expected;
        return { kind, expected: condition, succeeded: true, ...this.#write(id, value) };
      }
      case "refused": {
        const wrong = from === undefined ? "none" : undefined;
        return { kind: "compare-and-set", id, value, expected: wrong, succeeded: false };
      }
      case "update":
        return { kind, from, ...this.#write(id, value) };
      case "transaction": {
        const reads = [{ id: isMixed ? other : id, value: this.#held(isMixed ? other : id).value }];
        const written = isDeletion ? [] : isMixed ? [id] : [id, other];
        return { kind, reads, writes: written.map((one) => this.#write(one, value)) };
      }
    }
  }

  #held(id: string): Held {
    return this.#records.get(id) ?? { value: undefined, version: undefined };
  }

  /**
   * One with a condition has a version just above the one that it replaces.
   * @param isHidden below what is there
   */
  #write(id: string, value: Value, how: "guarded" | "plain" | "hidden" = "guarded"): Made {
    const before = this.#held(id).version ?? versionOf(0);
    const isHidden = how === "hidden" && before > versionOf(1);
    const hidden = `${versionOf(Number.parseInt(before, 10) / 10 - 0.5)}.${versionOf(this.#made)}`;
    const version = how === "guarded" ? `${before}~` : isHidden ? hidden : versionOf(this.#made);
    if (!isHidden) this.#records.set(id, { value, version });
    return { id, value, version };
  }
}

function versionOf(order: number): string {
  return String(10 * order).padStart(4, "0");
}

/** @param most how many operations */
export function executions(rule: PlainRule, most: number): fc.Arbitrary<Operation[]> {
  return fc.array(drawn, { minLength: 1, maxLength: most }).map((all) => {
    const execution = new Execution(rule);
    for (const one of all) execution.execute(one);
    return execution.operations;
  });
}

const change = fc.record({
  at: fc.nat(),
  kind: fc.constantFrom("value", "time", "outcome", "unknown", "gone"),
  value: fc.nat({ max: 6 }),
  shiftMs: fc.integer({ min: -60, max: 60 }),
});

/** An execution of which up to two operations were changed: most have no order any more. */
export function mutated(rule: PlainRule, most: number): fc.Arbitrary<Operation[]> {
  return fc
    .tuple(executions(rule, most), fc.array(change, { minLength: 1, maxLength: 2 }))
    .map(([operations, changes]) => changes.reduce(applyChange, operations));
}

type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function applyChange(operations: Operation[], { at, kind, value, shiftMs }: Change): Operation[] {
  const place = at % operations.length;
  return operations.flatMap((one, index) => {
    if (index !== place) return [one];
    const { calledMs, returnedMs, action } = one;
    switch (kind) {
      case "value":
        return [{ ...one, action: withFound(action, value === 0 ? undefined : `value ${value}`) }];
      case "time": {
        const later = returnedMs === undefined ? undefined : returnedMs + shiftMs;
        return [{ ...one, calledMs: calledMs + shiftMs, returnedMs: later }];
      }
      case "outcome": {
        if (action.kind !== "compare-and-set") return [one];
        return [
          {
            ...one,
            action: { ...action, succeeded: !action.succeeded, version: `${index} changed` },
          },
        ];
      }
      case "unknown":
        return [{ ...one, returnedMs: returnedMs === undefined ? calledMs + 50 : undefined }];
      case "gone":
        return operations.length > 1 ? [] : [one];
    }
  });
}

/** It is told that it found something else. */
function withFound(action: Action, value: Value): Action {
  switch (action.kind) {
    case "read":
      return { ...action, value };
    case "update":
      return { ...action, from: value };
    case "transaction":
      return { ...action, reads: action.reads.map((read) => ({ ...read, value })) };
    default:
      return action;
  }
}
