/** Mechanisms of transactions (X1 to X7) switched off. */
import type { Mutant } from "./mutant.ts";

const STORE = "store/memory.test.ts";

export const TRANSACTION_MUTANTS: readonly Mutant[] = [
  {
    name: "transactions claim what they write",
    breaks: ["READS", "X3"],
    does: "leaves what a transaction has only read out of its claims",
    edits: [
      {
        file: "session/transactions.ts",
        find: "commit(locked, { path, ids, drafted, untilMs: call.untilMs });",
        put: "commit(locked, { path, ids: new Set(drafted.map(({ write }) => write.id)), drafted, untilMs: call.untilMs });",
      },
    ],
    test: { file: STORE, name: "of two that read what the other writes" },
  },
  {
    name: "open intents are passed over",
    breaks: ["RESOLVE", "X6", "G2"],
    does: "decides on records that undecided transactions write",
    edits: [
      {
        file: "session/open-intents.ts",
        find: "if (one.claim.writes.some((id) => ids.has(id))) return one;",
        put: "if (one.claim.writes.some((id) => ids.has(`${id} `))) return one;",
      },
    ],
    test: { file: STORE, name: "one that was ended by another begins again" },
  },
  {
    name: "commits without an intent",
    breaks: ["X3"],
    does: "commits although it is not known whether all intents are there",
    edits: [
      {
        file: "session/transaction-commit.ts",
        find: "if (puts.length === lanes.length && !isLate)",
        put: "if (puts.length > 0 && !isLate)",
      },
    ],
    test: { file: STORE, name: "an intent of unknown outcome" },
  },
  {
    name: "a late commit counts",
    breaks: ["ACK", "WINDOW", "X5"],
    does: "acknowledges a commit by its answer, whatever compactions did meanwhile",
    edits: [
      {
        file: "session/transaction-commit.ts",
        find: 'if (live === at.length && sent.status === "written") {',
        put: 'if (sent.status === "written") {',
      },
    ],
    test: { file: "store/late-commits.test.ts", name: "a commit that lands after its abort" },
  },
  {
    name: "readers take what has passed",
    breaks: ["AT", "R3"],
    does: "takes a commit although its places are passed",
    edits: [
      {
        file: "read/claims.ts",
        find: 'if (kind === "abort" || transaction.at.some((place) => isPassed(manifest, place))) return [];',
        put: 'if (kind === "abort") return [];',
      },
    ],
    test: { file: "store/lanes.test.ts", name: "one that is aborted is never seen" },
  },
];
