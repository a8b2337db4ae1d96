/**
 * Judges histories: linearizability of each record, and strict serializability of transactions over
 * several. Pure. Records that no transaction connects are judged by themselves, because an order of
 * each gives an order of all (Herlihy and Wing 1990).
 */
import { idsOf, type Operation, type PlainRule } from "./history.ts";
import { explain } from "./explain.ts";
import { findOrder, type Result } from "./search.ts";
import { onto, type Problem, problemOf } from "./steps.ts";

export type Verdict =
  /** In such orders, one for each group of records, all operations give what they gave. */
  | { readonly answer: "fine"; readonly orders: readonly (readonly Operation[])[] }
  /** There is none for these operations, which are as few as possible. */
  | {
      readonly answer: "violated";
      readonly operations: readonly Operation[];
      readonly message: string;
    }
  | { readonly answer: "undecided"; readonly ids: readonly string[] };

export interface Judging {
  readonly plain: PlainRule;
  /** Steps of the search, for each group of records. */
  readonly budget?: number;
}

const BUDGET = 200_000;

/** Whether each record is linearizable: of a transaction counts what concerns the record. */
export function checkRecords(operations: readonly Operation[], judging: Judging): Verdict {
  const groups = [...new Set(operations.flatMap(idsOf))].map((id) => [id]);
  return judge(operations, groups, judging, (some, [id = ""]) =>
    onto(problemOf(some, judging.plain, false), id),
  );
}

/** Whether one order of all operations explains all records. Implies `checkRecords` where plain writes are in time. */
export function checkTransactions(operations: readonly Operation[], judging: Judging): Verdict {
  return judge(operations, connected(operations), judging, (some) =>
    problemOf(some, judging.plain, true),
  );
}

type Ids = readonly string[];

function judge(
  operations: readonly Operation[],
  groups: readonly Ids[],
  { budget = BUDGET }: Judging,
  problem: (operations: readonly Operation[], ids: Ids) => Problem,
): Verdict {
  const orders: (readonly Operation[])[] = [];
  let undecided: Ids | undefined;
  for (const [ids, own] of divided(operations, groups)) {
    const decide = (some: readonly Operation[], most = budget): Result =>
      findOrder(problem(some, ids), most);
    const result = decide(own);
    if (result.answer === "fine") orders.push(result.order);
    else if (result.answer === "undecided") undecided ??= ids;
    else return { answer: "violated", ...explain(own, decide) };
  }
  return undecided === undefined
    ? { answer: "fine", orders }
    : { answer: "undecided", ids: undecided };
}

/** The operations of each group, in one pass: there may be many records. */
function divided(operations: readonly Operation[], groups: readonly Ids[]): Map<Ids, Operation[]> {
  const own = new Map<Ids, Operation[]>(groups.map((group) => [group, []]));
  const groupOf = new Map(groups.flatMap((group) => group.map((id) => [id, group] as const)));
  for (const operation of operations) {
    const touched = new Set(idsOf(operation).map((id) => groupOf.get(id)));
    for (const group of touched) if (group !== undefined) own.get(group)?.push(operation);
  }
  return own;
}

/** Groups of records that transactions connect. */
function connected(operations: readonly Operation[]): string[][] {
  const groupOf = new Map<string, string[]>();
  for (const operation of operations) {
    const groups = new Set(idsOf(operation).map((id) => groupOf.get(id) ?? [id]));
    const merged = [...groups].flat();
    for (const id of merged) groupOf.set(id, merged);
  }
  return [...new Set(groupOf.values())];
}
