/** Mechanisms of levels, of purges by span, and of publication over a newer manifest switched off. */
import type { Mutant } from "./mutant.ts";

export const LEVEL_MUTANTS: readonly Mutant[] = [
  {
    name: "a purge as old as the run",
    breaks: ["RELOAD", "C9"],
    does: "takes every tombstone of a run for as old as the oldest",
    edits: [
      {
        file: "compaction/unit-merge.ts",
        find: "const since = run.since ?? this.#options.generation;",
        put: "const since = Math.min(1, run.since ?? this.#options.generation);",
      },
    ],
  },
  {
    name: "a purge of what was in no run",
    breaks: ["RELOAD", "C9"],
    does: "takes a tombstone that it purges with the log for one that everybody has seen",
    edits: [
      {
        file: "compaction/unit-merge.ts",
        find: 'later(this.#purgedSince, since ?? "new");',
        put: "later(this.#purgedSince, since ?? 0);",
      },
    ],
    test: {
      file: "compaction/units-readers.test.ts",
      name: "deletions that only the log held",
    },
  },
  {
    name: "what was taken over is found",
    breaks: ["LEVELS", "V7"],
    does: "looks records up in spans of runs that newer runs have taken over",
    edits: [
      {
        file: "runs/run-reader.ts",
        find: "return excised === undefined || !isExcised(this.run, id);",
        put: "return excised === undefined || !isExcised({}, id);",
      },
    ],
    test: { file: "runs/run-reader.test.ts", name: "shows the rest, with its index" },
  },
  {
    name: "what was taken over is loaded",
    breaks: ["LEVELS", "V6"],
    does: "loads spans of runs that newer runs have taken over",
    edits: [
      {
        file: "runs/run-reader.ts",
        find: "if (this.run.excised !== undefined) return this.#scanVisible(options);\n",
        put: "",
      },
    ],
  },
  {
    name: "takes over more than it has merged",
    breaks: ["ACKED", "LEVELS", "C5"],
    does: "excises all that follows a unit that ended early",
    edits: [
      {
        file: "compaction/unit-merge.ts",
        find: "return { from: this.#options.plan.from, to: this.#to };",
        put: "return { from: this.#options.plan.from, to: this.#options.plan.to };",
      },
    ],
  },
  {
    name: "one id in two runs of a level",
    breaks: ["LEVELS", "C4"],
    does: "puts what it has merged into a level whose own part did not take part",
    edits: [
      {
        file: "compaction/plan.ts",
        find: "const taken = positions(0, Math.min(into + 1, levels.length));",
        put: "const taken = positions(0, Math.min(into, levels.length));",
      },
    ],
  },
  {
    name: "excised spans are forgotten",
    breaks: ["LEVELS", "C7"],
    does: "excises only the last span of a run",
    edits: [
      {
        file: "runs/visible.ts",
        find: "return { ...run, excised: [...excised, { from, to }, ...above] };",
        put: "return { ...run, excised: [{ from, to }, ...above] };",
      },
    ],
  },
  {
    name: "followers miss what was taken over",
    breaks: ["FOLLOWER", "T5"],
    does: "compares only whole runs",
    edits: [
      {
        file: "read/run-changes.ts",
        find: "takenOver(run, same);",
        put: "takenOver(run, {});",
      },
    ],
    test: {
      file: "compaction/units-readers.test.ts",
      name: "readers of every kind see the same at each unit",
    },
  },
  {
    name: "orphans of the last generation",
    breaks: ["ORPHAN", "C10"],
    does: "deletes what an earlier generation left, as if nothing were published over a newer manifest",
    edits: [
      {
        file: "compaction/collector.ts",
        find: "base < manifest.collected &&",
        put: "base < manifest.generation &&",
      },
    ],
  },
  {
    name: "a revoked run is published",
    breaks: ["ORPHAN", "C7"],
    does: "publishes what was made on a base that has been collected",
    edits: [
      {
        file: "compaction/edit.ts",
        find: "if (current.collected > base.generation) return false;\n",
        put: "",
      },
    ],
  },
  {
    name: "log over a floor that rose",
    breaks: ["FLOOR", "C7"],
    does: "publishes log that was merged under a lower floor",
    edits: [
      {
        file: "compaction/edit.ts",
        find: "if (lo <= current.purgeFloor) return false;\n",
        put: "",
      },
    ],
    test: { file: "compaction/edit.test.ts", name: "log that was merged under a lower floor" },
  },
  {
    name: "a floor that rises over new runs",
    breaks: ["FLOOR", "C7", "C9"],
    does: "raises the floor over runs that it has not merged",
    edits: [
      {
        file: "compaction/edit.ts",
        find: "return !hasNew || plan.taken",
        put: "return !hasNew || hasNew || plan.taken",
      },
    ],
    test: { file: "compaction/edit.test.ts", name: "a floor does not rise over runs" },
  },
  {
    name: "what others took over is taken over again",
    breaks: ["LEVELS", "ACKED", "C7"],
    does: "publishes a unit over one that has merged the same",
    edits: [
      {
        file: "compaction/edit.ts",
        find: "return same !== undefined && shown(same, edit.span) === shown(run, edit.span);",
        put: "return same !== undefined;",
      },
    ],
    test: {
      file: "compaction/edit.test.ts",
      name: "a span of which others have taken something over",
    },
  },
  {
    name: "deletes at once in spite of a promise",
    breaks: ["VIEW", "C7"],
    does: "deletes merged log although a grace was promised since it began",
    edits: [
      {
        file: "compaction/edit.ts",
        find: "if (edit.deletesLog && current.segmentGraceMs > 0) return false;\n",
        put: "",
      },
    ],
    test: { file: "compaction/edit.test.ts", name: "log that is deleted at once" },
  },
  {
    name: "what was deleted stays",
    breaks: ["C4"],
    does: "does not merge levels because of the age of what they hold",
    edits: [
      {
        file: "compaction/plan.ts",
        find: "else if (isOverdue(input, levels)) yield",
        put: "else if (isOverdue(input, levels) && levels.length === 0) yield",
      },
    ],
    test: {
      file: "compaction/erase.test.ts",
      name: "levels are merged into the oldest from half of the time on",
    },
  },
  {
    name: "a damaged block is copied",
    breaks: ["VERBATIM", "C5"],
    does: "copies blocks of partitions without comparing their checksums",
    edits: [
      {
        file: "runs/whole-partition.ts",
        find: "yield { block, bytes: await this.#objects.verified(bytes, block) };",
        put: "yield { block, bytes };",
      },
    ],
    test: { file: "runs/copied-partitions.test.ts", name: "no damage of a block is copied" },
  },
  {
    name: "copied over what lies in between",
    breaks: ["ACKED", "C5"],
    does: "copies a partition although another run has records between its ids",
    edits: [
      {
        file: "runs/merge.ts",
        find: ".every(({ id }) => id >= to);",
        put: ".every(({ id }) => id >= to || to !== '');",
      },
    ],
    test: {
      file: "runs/copied-partitions.test.ts",
      name: "hold what the same merges by entries hold",
    },
  },
  {
    name: "copied beyond what counts",
    breaks: ["LEVELS", "C5"],
    does: "copies a partition that counts only in part",
    edits: [
      {
        file: "runs/whole-partition.ts",
        find: "const isWhole = from <= own.from && (to === undefined || own.to <= to);",
        put: "const isWhole = from <= own.from || (to === undefined || own.to <= to);",
      },
    ],
    test: {
      file: "runs/copied-partitions.test.ts",
      name: "hold what the same merges by entries hold",
    },
  },
  {
    name: "copied deletions",
    breaks: ["RELOAD", "C9"],
    does: "copies deletions with a partition, without the generation that held them first",
    edits: [
      {
        file: "runs/whole-partition.ts",
        find: "return tombstones === 0 && minSchema",
        put: "return tombstones !== undefined && minSchema",
      },
    ],
    test: {
      file: "compaction/unit-merge.test.ts",
      name: "units in any order and of any size",
    },
  },
];
