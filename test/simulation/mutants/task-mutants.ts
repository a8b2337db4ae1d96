/** Mechanisms by which several compactors work on one store at once switched off. */
import type { Mutant } from "./mutant.ts";

export const TASK_MUTANTS: readonly Mutant[] = [
  {
    name: "a floor over log that waits",
    breaks: ["FLOOR", "C9"],
    does: "raises the floor, in a pass that merges no log, whatever log is left",
    edits: [
      {
        file: "compaction/look.ts",
        find: "return lo > floor ? floor : undefined;",
        put: "return lo > 0 ? floor : undefined;",
      },
    ],
    test: {
      file: "compaction/tasks-floor.test.ts",
      name: "the floor does not rise over log that waits",
    },
  },
  {
    name: "a floor before the listing has ended",
    breaks: ["FLOOR", "C9"],
    does: "raises the floor once what it has listed so far begins above it",
    edits: [
      {
        file: "compaction/log-cursor.ts",
        find: "return this.#isAtEnd && this.#units.every(isAbove);",
        put: "return this.#units.every(isAbove);",
      },
    ],
    test: { file: "compaction/log-cursor.test.ts", name: "log is clear of a clock once" },
  },
  {
    name: "memory keeps what is ignored",
    breaks: ["RELOAD", "V5"],
    does: "keeps what it has merged of log that the floor has risen to",
    edits: [
      {
        file: "read/load-records.ts",
        find: "purgeFloor < this.#base.lo) return;",
        put: "purgeFloor < Infinity) return;",
      },
    ],
    test: { file: "compaction/tasks-floor.test.ts", name: "a write that lands too late" },
  },
  {
    name: "a floor by an outdated promise",
    breaks: ["LATE", "C7"],
    does: "raises the floor although a longer grace was promised since",
    edits: [
      {
        file: "compaction/edit.ts",
        find: "if (current.tombstoneGraceMs !== base.tombstoneGraceMs) return false;\n",
        put: "",
      },
    ],
    test: { file: "compaction/edit.test.ts", name: "a floor does not rise over runs" },
  },
  {
    name: "what was published is published again",
    breaks: ["ORPHAN", "C7"],
    does: "names a run again that others have merged and retired",
    edits: [
      {
        file: "compaction/edit.ts",
        find: "...current.retired].map(",
        put: "...current.retired.slice(0, 0)].map(",
      },
    ],
    test: { file: "compaction/edit.test.ts", name: "what was published already" },
  },
  {
    name: "a shard is forgotten",
    breaks: ["C4"],
    does: "leaves one shard to none of the workers",
    edits: [
      {
        file: "log/log-ranges.ts",
        find: "shard % of === index);",
        put: "shard % of === index && shard < 15);",
      },
    ],
    test: { file: "compaction/tasks.test.ts", name: "each shard is in one part" },
  },
  {
    name: "every worker begins with the lowest ids",
    breaks: ["C4"],
    does: "merges units of ids that fall to other workers",
    edits: [
      {
        file: "compaction/plan.ts",
        find: "const bounds = boundsOf(drained, span);",
        put: "const bounds = boundsOf(drained);",
      },
    ],
    test: { file: "compaction/tasks.test.ts", name: "workers of one division share the units" },
  },
  {
    name: "log is given up with its levels",
    breaks: ["C7"],
    does: "does not publish log alone where others have merged the levels that joined it",
    edits: [
      {
        file: "compaction/merge-step.ts",
        find: "rewrites === REWRITES_MAX)",
        put: "rewrites <= REWRITES_MAX)",
      },
    ],
    test: { file: "compaction/tasks.test.ts", name: "log whose levels others have merged" },
  },
  {
    name: "lists of others are dropped",
    breaks: ["C8"],
    does: "removes lists that it has not read, and deletes nothing of what they name",
    edits: [
      {
        file: "compaction/merge-step.ts",
        find: ": !lists.has(path),",
        put: ": lists.size < 0,",
      },
    ],
    test: { file: "compaction/tasks.test.ts", name: "a list of merged log that others published" },
  },
  {
    name: "a list is named that may be collected",
    breaks: ["ORPHAN", "C7"],
    does: "names the list of its first attempt where the log is written anew for a later manifest",
    edits: [{ file: "compaction/merge-step.ts", find: "      this.#list = undefined;\n", put: "" }],
    test: {
      file: "compaction/tasks-lists.test.ts",
      name: "log that is written anew is listed anew",
    },
  },
];
