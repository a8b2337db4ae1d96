/** Mechanisms of archives (A1 to A6) and of leases (C2) switched off. */
import type { Mutant } from "./mutant.ts";

export const ARCHIVE_MUTANTS: readonly Mutant[] = [
  {
    name: "archives what has changed",
    breaks: ["A2"],
    does: "archives a record that is not the one its predicate saw",
    edits: [
      {
        file: "store/archive.ts",
        find: "if (!isSame(seen, new ResidentEntry(version, schemaVersion, migrated))) return undefined;",
        put: "if (!isSame(seen, new ResidentEntry(version, schemaVersion, migrated))) void seen;",
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
    does: "does not check whether an earlier attempt was published",
    edits: [
      {
        file: "store/archive.ts",
        find: "const landed = this.#sent.find(({ archive }) => paths.has(archive.path));",
        put: 'const landed = this.#sent.find(() => paths.has(""));',
      },
    ],
    test: {
      file: "store/archive-races.test.ts",
      name: "a publication that arrives late counts, once",
    },
  },
  {
    name: "what a list names is garbage",
    breaks: ["ORPHAN", "A4", "C10"],
    does: "does not count the archives that a list names as mentioned",
    edits: [
      {
        file: "compaction/collector.ts",
        find: "...lists.flatMap(({ content = [] }) => content.map(({ path }) => path)),",
        put: "",
      },
    ],
  },
  {
    name: "lists of archives are garbage",
    breaks: ["ORPHAN", "A4", "C10"],
    does: "does not count the lists of archives that the manifest names as mentioned",
    edits: [
      {
        file: "compaction/collector.ts",
        find: "...lists.map(({ path }) => path),",
        put: "",
      },
    ],
  },
  {
    name: "archives are judged by a part of the lists",
    breaks: ["ORPHAN", "C10"],
    does: "collects archives although a list was not read",
    edits: [
      {
        file: "compaction/collector.ts",
        find: "const areListsRead = lists.every(({ content }) => content !== undefined);",
        put: "const areListsRead = lists.length >= 0;",
      },
    ],
  },
  {
    name: "archives in doubt are not found in lists",
    breaks: ["A5"],
    does: "looks for an attempt of its own only among the archives that the manifest names itself",
    edits: [
      {
        file: "store/archive.ts",
        find: "return [...listedArchives.lists.flatMap(({ content = [] }) => content), ...archive];",
        put: "return listedArchives.lists.length >= 0 ? archive : [];",
      },
    ],
    test: {
      file: "store/listed-archives.test.ts",
      name: "an archive whose outcome is in doubt is found in a list",
    },
  },
  {
    name: "a list takes in what was not read",
    breaks: ["A4"],
    does: "takes a list in without what it names",
    edits: [
      {
        file: "compaction/fold-archives.ts",
        find: "if (last.content === undefined || last.count > content.length) break;\n    content = [...last.content, ...content];",
        put: "if (last.count > content.length) break;\n    content = [...(last.content ?? []), ...content];",
      },
    ],
    test: {
      file: "compaction/fold-archives.test.ts",
      name: "a list that was not read stays as it is",
    },
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
        file: "store/archive.ts",
        find: "session.records.merge(id, new ResidentEntry(version, schemaVersion, undefined));",
        put: "void [id, version, schemaVersion];",
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
        find: "const expired = silentMs > Math.min(ttlMs, TTL_MAX_MS) || silentMs < -TTL_MAX_MS;",
        put: "const expired = Date.now() > Math.min(ttlMs, TTL_MAX_MS);",
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
  {
    name: "a start by everybody",
    breaks: ["C2"],
    does: "starts the compactor without taking `compact.start`",
    edits: [
      {
        file: "lambda/compactor-starter.ts",
        find: "return Lease.takeOnce(backend, this.#runtime, started);",
        put: "return true;",
      },
    ],
    test: {
      file: "lambda/start-compactor.test.ts",
      name: "start it once, and again only after the interval",
    },
  },
  {
    name: "a start beside a compactor",
    breaks: ["C2"],
    does: "starts another compactor while one is at work",
    edits: [
      {
        file: "lambda/compactor-starter.ts",
        find: "if (await Lease.isHeld(backend, compaction)) return false;",
        put: "",
      },
    ],
    test: {
      file: "lambda/start-compactor.test.ts",
      name: "do not start it while a compactor is at work",
    },
  },
  {
    name: "an idle store rests without a bound",
    breaks: ["C1"],
    does: "does not look again at a store that was quiet for long",
    edits: [
      {
        file: "lambda/idle-backoff.ts",
        find: "Math.min(this.#mostMs, quiet.lookedMs - quiet.sinceMs)",
        put: "quiet.lookedMs - quiet.sinceMs",
      },
    ],
    test: { file: "lambda/compactor-idle.test.ts", name: "is compacted within 16 minutes" },
  },
];
