/** Mechanisms of schema versions, of streams (S1 to S3) and of stores of the original (O1 to O5). */
import type { Mutant } from "./mutant.ts";

export const OTHER_MUTANTS: readonly Mutant[] = [
  {
    name: "migrated under the old version",
    breaks: ["VERBATIM", "C5"],
    does: "writes migrated records under the version they had before",
    edits: [
      {
        file: "compaction/migrate.ts",
        find: "    schemaVersion: version,\n",
        put: "    schemaVersion,\n",
      },
    ],
  },
  {
    name: "new version without migration",
    breaks: ["VERBATIM", "C5"],
    does: "writes old records under the new version as they were",
    edits: [
      {
        file: "compaction/migrate.ts",
        find: "text: text === undefined ? undefined : migrate(id, text, schemaVersion),",
        put: "text: schemaVersion > version ? migrate(id, text ?? '', schemaVersion) : text,",
      },
    ],
  },
  {
    name: "newer records are handed out",
    breaks: ["C5"],
    does: "gives programs records of a newer schema version than theirs",
    edits: [
      {
        file: "core/schema.ts",
        find: "if (version <= schema.version) return;",
        put: "if (version <= schema.version || what !== '') return;",
      },
    ],
  },
  {
    name: "streams forget what was compacted",
    breaks: ["ACKED", "S2"],
    does: "returns operations of the log only, not what went into runs since the snapshot",
    edits: [
      {
        file: "store/streams.ts",
        find: "    yield* this.#netChanges(view, base, progress);\n",
        put: "    if (view.loaded.manifest.generation < 0) yield* this.#netChanges(view, base, progress);\n",
      },
    ],
  },
  {
    name: "streams end where a segment is gone",
    breaks: ["ACKED", "S2"],
    does: "does not go on with a newer view when the log was compacted under it",
    edits: [
      {
        file: "store/streams.ts",
        find: "for (const key of live.gone) attempt.gone.add(key);",
        put: "",
      },
    ],
  },
  {
    name: "streams span a purge",
    breaks: ["RELOAD", "S3"],
    does: "continues with a snapshot whose deletions were purged since",
    edits: [
      {
        file: "store/streams.ts",
        find: "loaded.manifest.lastPurge <= base.loaded.manifest.generation && !isReplaced",
        put: "loaded.manifest.lastPurge >= 0 && !isReplaced",
      },
    ],
  },
  {
    name: "streams know no clones",
    breaks: ["S2"],
    does: "treats an operation as compacted if a clone's at the same version was",
    test: { file: "store/cloned-streams.test.ts", name: "a greater text" },
    edits: [
      {
        file: "read/merged-runs.ts",
        find: "return wins(entryOf(each), winner);",
        put: "return winner === undefined || compareVersions(each.version, winner.version) > 0;",
      },
      {
        file: "read/merged-runs.ts",
        find: "import { type RunEntry, wins }",
        put: "import { compareVersions, type RunEntry, wins }",
      },
    ],
  },
  {
    name: "operations of the original are equal",
    breaks: ["VERSION-UNIQUE", "O2"],
    does: "counts every operation of the original's log at one clock",
    edits: [
      {
        file: "legacy/order.ts",
        find: "last = Math.max(last + 1, clock);",
        put: "last = Math.max(1, clock);",
      },
    ],
  },
  {
    name: "memory spans a change of the original",
    breaks: ["RELOAD", "O3"],
    does: "keeps what it has seen of the original's log, whatever became of that",
    edits: [
      {
        file: "read/load-records.ts",
        find: "const isSame = base.fingerprint === this.#base.fingerprint;",
        put: "const isSame = base.fingerprint !== '';",
      },
    ],
    test: {
      file: "original/original.test.ts",
      name: "a reader follows the original, also when that takes back what it wrote",
    },
  },
  {
    name: "upgrade without the log",
    breaks: ["ACKED", "O4"],
    does: "makes runs of the original's snapshot only",
    edits: [
      {
        file: "compaction/upgrade-pass.ts",
        find: "return [...runs, ...(await this.#writeRun(logged))];",
        put: "return logged.size < 0 ? this.#writeRun(logged) : runs;",
      },
    ],
  },
  {
    name: "upgrade deletes before publishing",
    breaks: ["DELETE-AFTER-PUBLISH", "O4"],
    does: "deletes the original's snapshot before the manifest that holds it",
    edits: [
      {
        file: "compaction/upgrade-pass.ts",
        find: "    if (this.#lease.lost || ",
        put:
          "    await backend.delete([legacy.manifest.currentSnapshot]);\n" +
          "    if (this.#lease.lost || ",
      },
    ],
  },
  {
    name: "upgrade of a log that changed",
    breaks: ["O4"],
    does: "publishes what it read of the original's log, whatever was written since",
    edits: [
      {
        file: "compaction/upgrade-pass.ts",
        find: "!(await this.#isUnchanged(view))",
        put: "(await this.#isUnchanged(view)) === undefined",
      },
    ],
    test: {
      file: "original/original.test.ts",
      name: "what the original wrote until the publication is taken in by the next pass",
    },
  },
  {
    name: "a log of the original alone is a new store",
    breaks: ["O5"],
    does: "begins anew where the original's manifest was lost",
    edits: [
      {
        file: "view/manifest-store.ts",
        find: "again.etag === undefined && legacyLog !== undefined",
        put: "again.etag === '' && legacyLog !== undefined",
      },
    ],
    test: {
      file: "original/original.test.ts",
      name: "a log of the original without its manifest is damage; an empty one is none",
    },
  },
];
