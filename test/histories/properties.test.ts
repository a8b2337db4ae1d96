/** The checker against executions, and against all orders of small histories. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../support/effort.ts";
import { executions, mutated, SEED } from "./arbitraries.ts";
import { checkRecords, checkTransactions, type Verdict } from "./checker.ts";
import { idsOf, type Operation, type PlainRule } from "./history.ts";
import { hasOrder } from "./reference.ts";

const RULES: readonly PlainRule[] = ["in time", "by version"];

test.each(RULES)("what was executed one after the other is fine, plain writes %s", (plain) => {
  const property = fc.property(executions(plain, 60), (operations) => {
    expect(checkRecords(operations, { plain }).answer).toBe("fine");
    expect(checkTransactions(operations, { plain }).answer).toBe("fine");
  });
  fc.assert(property, { seed: SEED, numRuns: propertyRuns(2_000) });
});

/** How many histories the reference found right, and wrong: otherwise equal answers prove nothing. */
function compare(
  small: fc.Arbitrary<Operation[]>,
  check: (operations: readonly Operation[]) => Verdict,
  isRight: (operations: readonly Operation[]) => boolean,
): { readonly right: number; readonly wrong: number } {
  const seen = { right: 0, wrong: 0 };
  const property = fc.property(small, (operations) => {
    const expected = isRight(operations);
    const verdict = check(operations);
    expect(verdict.answer).toBe(expected ? "fine" : "violated");
    seen[expected ? "right" : "wrong"]++;
    // What is shown of a wrong history is wrong by itself.
    if (verdict.answer === "violated") expect(isRight(verdict.operations)).toBe(false);
  });
  const numRuns = propertyRuns(20_000);
  fc.assert(property, { seed: SEED, numRuns });
  expect(Math.min(seen.right, seen.wrong)).toBeGreaterThan(numRuns / 10);
  return seen;
}

test.each(RULES)("transactions: the answers are those of all orders, plain writes %s", (plain) => {
  compare(
    mutated(plain, 6),
    (operations) => checkTransactions(operations, { plain }),
    (operations) => hasOrder(operations, plain, true),
  );
});

test.each(RULES)(
  "records: the answers are those of all orders of each, plain writes %s",
  (plain) => {
    compare(
      mutated(plain, 6),
      (operations) => checkRecords(operations, { plain }),
      (operations) => ["x", "y"].every((id) => hasOrder(onto(operations, id), plain, false)),
    );
  },
);

/** What an operation has to do with one record. */
function onto(operations: readonly Operation[], id: string): Operation[] {
  return operations
    .filter((operation) => idsOf(operation).includes(id))
    .map((operation) => {
      const { action } = operation;
      if (action.kind !== "transaction") return operation;
      const [reads, writes] = [
        action.reads.filter((read) => read.id === id),
        action.writes.filter((write) => write.id === id),
      ];
      return { ...operation, action: { ...action, reads, writes } };
    });
}
