/** Mechanisms of compaction (C3 to C10) switched off. */
import type { Mutant } from "./mutant.ts";

export const COMPACTION_MUTANTS: readonly Mutant[] = [
  {
    name: "records are written anew",
    breaks: ["VERBATIM", "C5"],
    does: "writes a record's fields in another order than they were stored in",
    edits: [
      {
        file: "compaction/merge-log.ts",
        find: 'const text = op === "set" ? JSON.stringify(data) : undefined;',
        put:
          'const text = op === "set" ? JSON.stringify(Object.fromEntries(\n' +
          "      Object.entries(Object(data)).toReversed())) : undefined;",
      },
    ],
  },
  {
    name: "older levels are forgotten",
    breaks: ["ACKED", "C7"],
    does: "names only the newest level in the next manifest",
    edits: [
      {
        file: "compaction/publication.ts",
        find: "const { runs, draining } = flatLevels(change.levels);",
        put: "const { runs, draining } = flatLevels(change.levels.slice(0, 1));",
      },
    ],
  },
  {
    name: "last writer of the manifest wins",
    breaks: ["ACKED", "C7"],
    does: "replaces the manifest whatever it is by now",
    edits: [
      {
        file: "view/manifest-store.ts",
        find: "current.etag === undefined ? { ifAbsent: true } : { ifMatch: current.etag };",
        put: 'current.etag === undefined ? { ifAbsent: true } : "none";',
      },
    ],
  },
  {
    name: "deletes without a read back",
    breaks: ["DELETE-AFTER-PUBLISH", "C8"],
    does: "takes its manifest for published without finding its nonce there",
    edits: [
      {
        file: "view/manifest-store.ts",
        find: "if (nonce !== next.nonce && !lineage.includes(next.nonce)) return undefined;",
        put: 'if (nonce === "" && !lineage.includes(next.nonce)) return undefined;',
      },
    ],
  },
  {
    name: "deletes before publishing",
    breaks: ["DELETE-AFTER-PUBLISH", "C8"],
    does: "deletes merged segments before the manifest that holds them",
    edits: [
      {
        file: "compaction/merge-step.ts",
        find: 'if (this.#lease.lost) return "lost";',
        put:
          "await this.#parts.log.deleteUnits(this.#input.merged.done);\n" +
          '    if (this.#lease.lost) return "lost";',
      },
    ],
  },
  {
    name: "only the newest nonce counts",
    breaks: ["DELETE-AFTER-PUBLISH", "C8"],
    does: "takes its manifest for lost when another followed it at once",
    edits: [
      {
        file: "view/manifest-store.ts",
        find: "if (nonce !== next.nonce && !lineage.includes(next.nonce)) return undefined;",
        put: "if (nonce !== next.nonce) return undefined;",
      },
    ],
    test: { file: "view/manifest-store.test.ts", name: "also when it was replaced since" },
  },
  {
    name: "orphans before publishing",
    breaks: ["ORPHAN", "C10"],
    does: "deletes every unreferenced run, also one that may still be published",
    edits: [
      {
        file: "compaction/merge-step.ts",
        find: "const made = await this.#writeRuns();",
        put:
          "await this.#parts.backend.delete(orphans(manifest, this.#input.listed));\n" +
          "    const made = await this.#writeRuns();",
      },
      {
        file: "compaction/collector.ts",
        find: "base < manifest.collected &&",
        put: "base <= manifest.generation &&",
      },
    ],
  },
  {
    name: "orphans of any base",
    breaks: ["ORPHAN", "C10"],
    does: "takes every run that is not named for an orphan",
    edits: [
      {
        file: "compaction/collector.ts",
        find: "base < manifest.collected &&",
        put: "base <= manifest.generation &&",
      },
    ],
    test: {
      file: "compaction/collector.test.ts",
      name: "garbage is what an earlier base left behind",
    },
  },
  {
    name: "archives are orphans",
    breaks: ["ORPHAN", "C10"],
    does: "does not count the archives that the manifest names as mentioned",
    edits: [
      {
        file: "compaction/collector.ts",
        find: "    ...manifest.archive.map(({ path }) => path),\n",
        put: "\n",
      },
    ],
  },
  {
    name: "one name for every run",
    breaks: ["ONCE", "C6"],
    does: "names runs of one generation alike and overwrites them",
    edits: [
      {
        file: "compaction/merge-step.ts",
        find: "newPaths: () => runPaths(base, runtime.randomHex(16)),",
        put: 'newPaths: () => runPaths(base, "0".repeat(runtime.randomHex(16).length)),',
      },
      {
        file: "runs/run-writer.ts",
        find: "backend.put(target, body, { ifAbsent: true }, { timeoutMs })",
        put: 'backend.put(target, body, "none", { timeoutMs })',
      },
    ],
  },
  {
    name: "compaction ignores the floor",
    breaks: ["FLOOR", "C5"],
    does: "merges segments at or below the purge floor",
    edits: [
      {
        file: "compaction/merge-pass.ts",
        find: 'standingOf(ref, manifest, known.names) === "live";',
        put: 'standingOf(ref, { purgeFloor: 0 }, known.names) === "live";',
      },
    ],
  },
  {
    name: "corrupt log permits a purge",
    breaks: ["C5", "C9"],
    does: "purges although a part of the log could not be read",
    edits: [
      {
        file: "compaction/log-cursor.ts",
        find: "return this.#leftOut;",
        put: "return false;",
      },
    ],
    test: { file: "store/damaged-log.test.ts", name: "nothing is purged while" },
  },
  {
    name: "purge by a part of the levels",
    breaks: ["C9"],
    does: "purges in a merge that leaves levels out",
    edits: [
      {
        file: "compaction/merge-step.ts",
        find: "if (plan.taken.length < plan.levels.length) return undefined;\n",
        put: "",
      },
    ],
  },
  {
    name: "purge by a part of the log",
    breaks: ["C4", "C9"],
    does: "purges with the first portion of a log that is merged in several",
    edits: [
      {
        file: "compaction/merge-pass.ts",
        find: "cursor.isClearOf(floor) && !cursor.leftOut;",
        put: "cursor.isClearOf(floor) || !cursor.leftOut;",
      },
      {
        file: "compaction/plan.ts",
        find: "if (!isDrained || levels.length === 0) return false;",
        put: "if (levels.length === 0) return false;",
      },
    ],
    test: { file: "compaction/portions.test.ts", name: "a purge waits until all that was listed" },
  },
  {
    name: "log is held up by runs",
    breaks: ["C4"],
    does: "merges the log together with runs that take longer than a pass",
    edits: [
      {
        file: "compaction/plan.ts",
        find: "const fitting = choices.find((count) => bytesOf(count) <= bytesMax);",
        put: "const fitting = choices.find((count) => bytesOf(count) <= bytesMax * 1e9);",
      },
    ],
  },
  {
    name: "log waits for slow runs",
    breaks: ["C4"],
    does: "merges levels with the log however long it takes",
    edits: [
      {
        file: "compaction/unit-merge.ts",
        find: "if (this.#runtime.steadyMs() >= untilMs) throw",
        put: "if (this.#runtime.steadyMs() >= Infinity * untilMs) throw",
      },
    ],
    test: { file: "compaction/portions.test.ts", name: "a medium that is slower than assumed" },
  },
  {
    name: "log that was merged too slowly is left out",
    breaks: ["C4"],
    does: "continues without the portion whose merge with runs was given up",
    edits: [
      {
        file: "compaction/merge-pass.ts",
        find: "return run({ ...plan, taken: [] });",
        put: 'return { status: "unchanged", deleted: 0 } as StepResult;',
      },
    ],
    test: { file: "compaction/portions.test.ts", name: "a medium that is slower than assumed" },
  },
  {
    name: "purge at once",
    breaks: ["LATE", "C9"],
    does: "purges tombstones that are not as old as the grace",
    edits: [
      {
        file: "compaction/purge.ts",
        find: ".filter(({ at }) => dateMs - at >= tombstoneGraceMs)\n    .reduce(",
        put: ".filter(({ at }) => dateMs - at >= tombstoneGraceMs / 30)\n    .reduce(",
      },
    ],
  },
  {
    name: "purge above the floor",
    breaks: ["C9"],
    does: "drops every tombstone in a purge",
    edits: [
      {
        file: "compaction/unit-merge.ts",
        find: "!isTombstone(entry) || entry.version.clock > purgeFloor ||",
        put: "!isTombstone(entry) || entry.version.clock > purgeFloor * 1e9 ||",
      },
    ],
  },
  {
    name: "a purge without a date",
    breaks: ["RELOAD", "C9"],
    does: "does not say in the manifest that it purged",
    edits: [
      {
        file: "compaction/publication.ts",
        find: 'Math.max(manifest.lastPurge, purgedSince === "new" ? generation : purgedSince),',
        put: "Math.max(manifest.lastPurge, 0 * Number(purgedSince)) || manifest.lastPurge,",
      },
    ],
  },
];
