/** Mechanisms of compaction (C1 to C10), archives (A1 to A6) and leases switched off. */
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
    name: "kept runs are forgotten",
    breaks: ["ACKED", "C7"],
    does: "names only the new run in the next manifest",
    edits: [
      {
        file: "compaction/publication.ts",
        find: "runs: [...change.keptRuns, ...change.newRuns],",
        put: "runs: change.newRuns.length > 0 ? [...change.newRuns] : [...change.keptRuns],",
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
        find: "return nonce === next.nonce || lineage.includes(next.nonce) ? after : undefined;",
        put: 'return nonce !== "" || lineage.includes(next.nonce) ? after : undefined;',
      },
    ],
  },
  {
    name: "deletes before publishing",
    breaks: ["DELETE-AFTER-PUBLISH", "C8"],
    does: "deletes merged segments before the manifest that holds them",
    edits: [
      {
        file: "compaction/leased-pass.ts",
        find: 'if (this.#lease.lost) return { outcome: "lost", generation, corrupt };',
        put:
          "await log.deleteUnits(done);\n" +
          '    if (this.#lease.lost) return { outcome: "lost", generation, corrupt };',
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
        find: "return nonce === next.nonce || lineage.includes(next.nonce) ? after : undefined;",
        put: "return nonce === next.nonce ? after : undefined;",
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
        file: "compaction/leased-pass.ts",
        find: "    const history = nextHistory(loaded);",
        put: "    await backend.delete(orphans(manifest, listed));\n    const history = nextHistory(loaded);",
      },
      {
        file: "compaction/collector.ts",
        find: "base < manifest.generation &&",
        put: "base <= manifest.generation &&",
      },
    ],
  },
  {
    name: "orphans of any base",
    breaks: ["ORPHAN", "C10"],
    does: "takes a run made on the current generation for an orphan",
    edits: [
      {
        file: "compaction/collector.ts",
        find: "base < manifest.generation &&",
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
        file: "compaction/leased-pass.ts",
        find: "const { path, index } = runPaths(base, runtime.randomHex(16));",
        put: 'const { path, index } = runPaths(base, "0".repeat(runtime.randomHex(16).length));',
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
        file: "compaction/merge-log.ts",
        find: "segments.filter(({ lo }) => lo > purgeFloor)",
        put: "segments.filter(({ lo }) => lo > Math.min(0, purgeFloor))",
      },
    ],
  },
  {
    name: "corrupt log permits a purge",
    breaks: ["C5", "C9"],
    does: "purges although a part of the log could not be read",
    edits: [
      {
        file: "compaction/leased-pass.ts",
        find: "const complete = plan.full && merged.corrupt.length === 0;",
        put: "const complete = true;",
      },
      {
        file: "compaction/plan.ts",
        find: "const complete = chosen.length === units.length && !leftOut;",
        put: "const complete = chosen.length === units.length || !leftOut;",
      },
    ],
    test: { file: "store/damaged-log.test.ts", name: "nothing is purged while" },
  },
  {
    name: "purge by a part of the runs",
    breaks: ["C9"],
    does: "purges in a merge that leaves runs or segments out",
    edits: [
      {
        file: "compaction/leased-pass.ts",
        find: "const complete = plan.full && merged.corrupt.length === 0;",
        put: "const complete = merged.corrupt.length === 0;",
      },
    ],
  },
  {
    name: "purge at once",
    breaks: ["LATE", "C9"],
    does: "purges tombstones that are not as old as the grace",
    edits: [
      {
        file: "compaction/plan.ts",
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
        file: "runs/merge.ts",
        find: "({ text, version }) => text !== undefined || version.clock > clockMax,",
        put: "({ text, version }) => text !== undefined || version.clock > clockMax * 1e9,",
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
        find: "lastPurge: change.purgeFloor === undefined ? manifest.lastPurge : generation,",
        put: "lastPurge: manifest.lastPurge,",
      },
    ],
  },
  {
    name: "archives what has changed",
    breaks: ["A2"],
    does: "archives a record that is not the one its predicate saw",
    edits: [
      {
        file: "store/archiver.ts",
        find: "if (!isSame(seen, new ResidentEntry(version, schema, migrated))) return undefined;",
        put: "if (!isSame(seen, new ResidentEntry(version, schema, migrated))) void seen;",
      },
    ],
    test: {
      file: "store/archive-races.test.ts",
      name: "a record that changes while it is fetched",
    },
  },
  {
    name: "archives over another's publication",
    breaks: ["A5"],
    does: "does not ask whether an earlier attempt was published",
    edits: [
      {
        file: "store/archiver.ts",
        find: "const landed = this.#sent.find(({ archive }) => paths.has(archive.path));",
        put: 'const landed = this.#sent.find(() => paths.has(""));',
      },
    ],
  },
  {
    name: "tombstones above the record",
    breaks: ["A4"],
    does: "puts the tombstone of an archive above the record's own version",
    edits: [
      {
        file: "compaction/archive-pass.ts",
        find: "entries: fromSorted(entries.map((entry) => ({ ...entry, text: undefined }))),",
        put:
          "entries: fromSorted(entries.map((entry) => ({ ...entry, text: undefined,\n" +
          "      version: { ...entry.version, clock: entry.version.clock + 3 } }))),",
      },
    ],
  },
  {
    name: "archived records stay in memory",
    breaks: ["A6"],
    does: "does not take the tombstones of its own archive into memory",
    edits: [
      {
        file: "store/archiver.ts",
        find: "session.records.merge(id, new ResidentEntry(version, schema, undefined));",
        put: "void [id, version, schema];",
      },
    ],
  },
  {
    name: "a lease by the local clock",
    breaks: ["C2"],
    does: "takes a lease over as soon as it is there",
    edits: [
      {
        file: "storage/lease.ts",
        find: "const expired = found.dateMs - found.lastModifiedMs > Math.min(ttlMs, TTL_MAX_MS);",
        put: "const expired = runtime.nowMs() > Math.min(ttlMs, TTL_MAX_MS);",
      },
    ],
    test: { file: "storage/lease.test.ts", name: "is by the medium's clock alone" },
  },
  {
    name: "a lease that was lost is released",
    breaks: ["C2"],
    does: "writes over its successor's lease",
    edits: [
      {
        file: "storage/lease.ts",
        find: "const precondition = { ifMatch: this.#held.etag };",
        put: 'const precondition = "none";',
      },
    ],
    test: { file: "storage/lease.test.ts", name: "lost for good when another took it" },
  },
];
