/** Mechanisms by which claims are compacted (K1 to K5) switched off. */
import type { Mutant } from "./mutant.ts";

const CLAIMS = "compaction/claims.test.ts";
const TRANSACTIONS = "compaction/claims-transactions.test.ts";
const SEALS = "compaction/seals.test.ts";

export const LANE_MUTANTS: readonly Mutant[] = [
  {
    name: "lanes over those of another",
    breaks: ["LANE-FLOOR", "C7"],
    does: "publishes claims that it has read over lanes that another has passed since",
    edits: [
      {
        file: "compaction/edit.ts",
        find: "lanes !== undefined && !isSameLanes(lanes.before, current.lanes ?? []);",
        put: "lanes !== undefined && !isSameLanes(lanes.before, lanes.before);",
      },
    ],
    test: { file: CLAIMS, name: "LANE-FLOOR: what a compactor read" },
  },
  {
    name: "an open intent is passed",
    breaks: ["DECIDED", "K1"],
    does: "passes an intent whose transaction is not decided",
    edits: [
      {
        file: "compaction/lanes.ts",
        find: 'claim.kind === "intent" && !decided.has(claim.txn)',
        put: 'claim.kind === "intent" && claim.txn === ""',
      },
    ],
    test: { file: TRANSACTIONS, name: "DECIDED: a lane waits" },
  },
  {
    name: "a transaction is cut",
    breaks: ["CUT", "K2"],
    does: "passes places of a commit although another lane ends before one of them",
    edits: [
      {
        file: "compaction/lanes.ts",
        find: ".some((place) => !isPassed(place))",
        put: ".some((place) => place.n < 0)",
      },
    ],
    test: { file: TRANSACTIONS, name: "CUT: the places of a commit" },
  },
  {
    name: "a commit with a passed place counts",
    breaks: ["AT", "K2"],
    does: "merges a commit of which a place is passed, because another is live",
    edits: [
      {
        file: "compaction/lanes.ts",
        find: "transaction.at.every((at) => isLive(at, floors));",
        put: "transaction.at.some((at) => isLive(at, floors));",
      },
    ],
    test: { file: TRANSACTIONS, name: "AT: a commit of which" },
  },
  {
    name: "claims go at once",
    breaks: ["KEEP", "K3"],
    does: "deletes passed claims without a grace",
    edits: [
      {
        file: "compaction/publication.ts",
        find: "claims === true ? guardGraceMs : plainMs;",
        put: "claims === true ? 0 : plainMs;",
      },
    ],
    test: { file: CLAIMS, name: "KEEP: passed claims go" },
  },
  {
    name: "what lists name is a stray",
    breaks: ["STRAY", "KEEP", "K4"],
    does: "deletes claims below the floors of their lanes though a list keeps them",
    edits: [
      {
        file: "compaction/lanes-work.ts",
        find: ".filter((path) => !isNamed(path));",
        put: ";",
      },
    ],
    test: { file: CLAIMS, name: "K4: strays go with" },
  },
  {
    name: "a cut listing shows all intents",
    breaks: ["STRAY", "K4"],
    does: "deletes transactions whose intents are not in a listing that was cut short",
    edits: [
      {
        file: "compaction/lanes-work.ts",
        find: "awaited === undefined || !isWhole ? [] :",
        put: "awaited === undefined || isWhole === undefined ? [] :",
      },
    ],
    test: { file: TRANSACTIONS, name: "K4: a commit stays whose intents" },
  },
  {
    name: "a purge without a seal",
    breaks: ["SEAL", "K5"],
    does: "drops deletions that were published after the last seal",
    edits: [
      {
        file: "compaction/purge.ts",
        find: "(since !== undefined && since <= sealed);",
        put: "(since !== undefined && sealed > 0);",
      },
    ],
    test: { file: SEALS, name: "a guarded deletion below the floor" },
  },
  {
    name: "a seal that a lane has not passed",
    breaks: ["SEAL", "K5"],
    does: "counts lanes as sealed although one ends before its seal",
    edits: [
      {
        file: "compaction/claims.ts",
        find: "this.#passed(lanes, ends, isSealed ? sealed : undefined)",
        put: "this.#passed(lanes, ends, isSealed ? sealed : sealed)",
      },
    ],
    test: { file: SEALS, name: "SEAL: an intent that comes before" },
  },
];
