/** Mechanisms of following (T1 to T7) switched off. */
import type { Mutant } from "./mutant.ts";

export const FOLLOW_MUTANTS: readonly Mutant[] = [
  {
    name: "no net change",
    breaks: ["T3"],
    does: "reports to a follower the operations of the log only, not what was compacted meanwhile",
    edits: [
      {
        file: "session/pending-changes.ts",
        find: "return [...changes, netChange(id, after, ts, { value: reached })];",
        put: "return ts === undefined ? [...changes, netChange(id, after, ts, { value: reached })] : changes;",
      },
    ],
  },
  {
    name: "lazy follower sees no compacted change",
    breaks: ["FOLLOWER", "T5"],
    does: "reports to a follower without all records in memory the log only, not new runs",
    edits: [
      {
        file: "session/changed-objects.ts",
        find: "if (isSettled(id)) continue;",
        put: "if (isSettled(id) || this.#base !== undefined) continue;",
      },
    ],
  },
  {
    name: "lazy follower takes late operations for new",
    breaks: ["FOLLOWER", "T6"],
    does: "reports operations that lost to what the follower had, where the record is not in memory",
    edits: [
      {
        file: "session/changed-objects.ts",
        find: "return first > clock && (entry?.version.clock ?? Infinity) > clock;",
        put: "return first > clock * 0 && (entry?.version.clock ?? Infinity) > clock * 0;",
      },
    ],
    test: {
      file: "store/memory.test.ts",
      name: "does not receive what had lost when it came into view",
    },
  },
  {
    name: "a follower forgets who came into memory",
    breaks: ["FOLLOWER", "T6"],
    does: "takes what was looked up between two looks for what the follower has",
    edits: [
      {
        file: "session/change-feed.ts",
        find: "if (before === undefined && !complete) this.#arrived.add(id);",
        put: "if (before === undefined && !complete) return;",
      },
    ],
    test: { file: "store/memory.test.ts", name: "read between two looks is reported" },
  },
  {
    name: "followers hear of losers",
    breaks: ["T2"],
    does: "reports operations that had lost when they came into view",
    edits: [
      {
        file: "session/pending-changes.ts",
        find: "({ version }) => isAbove(version, before) && !isAbove(version, after),",
        put: "({ version }) => isAbove(version, undefined) && !isAbove(version, after),",
      },
    ],
    test: {
      file: "store/memory.test.ts",
      name: "an agent receives the changes of others, never its own",
    },
  },
  {
    name: "followers miss what only a scan has shown",
    breaks: ["FOLLOWER", "T6"],
    does: "does not report the deletion of a record that a scan has shown of a newer manifest",
    edits: [
      {
        file: "session/changed-objects.ts",
        find: "if (this.#shownGeneration > view.loaded.manifest.generation) return [];\n",
        put: "",
      },
    ],
    test: { file: "store/follow-scan.test.ts", name: "a record that only a scan has shown" },
  },
];
