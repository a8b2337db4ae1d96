/** Mechanisms of views and reads (V1 to V10) switched off. */
import type { Mutant } from "./mutant.ts";

export const VIEW_MUTANTS: readonly Mutant[] = [
  {
    name: "no second look at the manifest",
    breaks: ["VIEW", "V2"],
    does: "takes the manifest read before the listing, whatever time has passed",
    edits: [
      {
        file: "view/view.ts",
        find: "isFast(before, listing) ? before : await manifests.load(before)",
        put: "before",
      },
    ],
  },
  {
    name: "window of three graces",
    breaks: ["VIEW", "V2"],
    does: "leaves the second look out for twelve times as long as the grace allows",
    edits: [
      {
        file: "view/view.ts",
        find: "elapsedMs <= segmentGraceMs * WINDOW_SHARE",
        put: "elapsedMs <= segmentGraceMs * 3",
      },
    ],
  },
  {
    name: "no segment grace",
    breaks: ["VIEW", "C8"],
    does: "deletes merged segments at once, whatever the manifest promised",
    edits: [
      {
        file: "compaction/merge-step.ts",
        find: "return segmentGraceOf(this.#input.loaded.manifest, this.#parts.settings) === 0;",
        put: "return segmentGraceOf(this.#input.loaded.manifest, this.#parts.settings) >= 0;",
      },
    ],
  },
  {
    name: "grace of one's own",
    breaks: ["VIEW", "C8"],
    does: "takes its own shorter grace for what an earlier manifest promised",
    edits: [
      {
        file: "compaction/publication.ts",
        find: "return Math.max(segmentGraceMs, Math.ceil(settings.segmentGraceMs));",
        put: "return segmentGraceMs < 0 ? 0 : Math.ceil(settings.segmentGraceMs);",
      },
    ],
  },
  {
    name: "tombstone grace of one's own",
    breaks: ["LATE", "C9"],
    does: "purges by its own shorter grace, whatever an earlier manifest promised",
    edits: [
      {
        file: "compaction/merge-pass.ts",
        find: "const graceMs = tombstoneGraceOf(manifest, settings);",
        put: "const graceMs = tombstoneGraceOf({ ...manifest, tombstoneGraceMs: 0 }, settings);",
      },
    ],
    test: { file: "store/promised-graces.test.ts", name: "the longest tombstone grace" },
  },
  {
    name: "lag of one's own",
    breaks: ["LATE", "W5"],
    does: "acknowledges by its own longer lag, whatever the manifest promises",
    edits: [
      {
        file: "core/settings.ts",
        find: "return Math.min(writerLagMs, (promisedMs ?? leastMs) - roomMs(dateSkewMs));",
        put: "return promisedMs === undefined ? Math.min(writerLagMs, leastMs) : writerLagMs;",
      },
    ],
    test: { file: "store/promised-graces.test.ts", name: "what is promised bounds how late" },
  },
  {
    name: "a lag that nobody promised",
    breaks: ["LATE", "W5"],
    does: "acknowledges by its own lag where there was no manifest yet",
    edits: [
      {
        file: "core/settings.ts",
        find: "return Math.min(writerLagMs, (promisedMs ?? leastMs) - roomMs(dateSkewMs));",
        put: "return Math.min(writerLagMs, (promisedMs ?? Infinity) - roomMs(dateSkewMs)) || leastMs;",
      },
    ],
    test: { file: "store/promised-graces.test.ts", name: "a process that purges" },
  },
  {
    name: "grace cut short",
    breaks: ["VIEW", "C8"],
    does: "deletes listed segments after a tenth of the grace",
    edits: [
      {
        file: "compaction/publication.ts",
        find: "const plainMs = segments === undefined ? gcGraceMs : segmentGraceMs;",
        put: "const plainMs = segments === undefined ? gcGraceMs : segmentGraceMs / 10;",
      },
    ],
    test: {
      file: "compaction/publication.test.ts",
      name: "a list of segments is due by the grace",
    },
  },
  {
    name: "memory spans a purge",
    breaks: ["RELOAD", "V5"],
    does: "keeps what is resident when a purge has left no trace of a deletion",
    edits: [
      {
        file: "read/load-records.ts",
        find: "lastPurge <= this.#base.generation &&",
        put: "lastPurge < Infinity &&",
      },
    ],
  },
  {
    name: "floor ignored by readers",
    breaks: ["FLOOR", "V3"],
    does: "counts segments at or below the purge floor as live",
    edits: [
      {
        file: "view/view.ts",
        find: "const { live: segments, published, unread: unreadLists } = sortListing(manifest, listed);",
        put:
          "const { live: segments, published, unread: unreadLists } =\n" +
          "    sortListing({ ...manifest, purgeFloor: 0 }, listed);",
      },
    ],
  },
  {
    name: "floor by the highest clock",
    breaks: ["FLOOR", "V3", "C5"],
    does: "compares the last clock of a segment, not the first",
    edits: [
      {
        file: "view/live-segments.ts",
        find: "return isIgnored(ref, manifest) ?",
        put: "return isIgnored({ lo: ref.hi }, manifest) ?",
      },
    ],
    test: { file: "view/view.test.ts", name: "a segment that begins at or below the purge floor" },
  },
  {
    name: "a segment that is gone is nothing",
    breaks: ["VIEW", "V4"],
    does: "reads on without a segment that was deleted meanwhile",
    edits: [
      {
        file: "read/segment-reader.ts",
        find: 'if (read.status === "gone") gone.add(read.ref.key);',
        put: "",
      },
    ],
  },
  {
    name: "refresh without new runs",
    breaks: ["VIEW", "V6"],
    does: "merges only segments at a refresh, not what was compacted since",
    edits: [
      {
        file: "read/load-records.ts",
        find: "({ name }) => !this.#merged.has(name),",
        put: "({ name }) => this.#merged.size === 0 && name,",
      },
    ],
  },
  {
    name: "lookup ignores a refresh in between",
    breaks: ["VIEW", "V7"],
    does: "makes records resident that stand for an older view than their neighbours",
    edits: [
      {
        file: "session/replica.ts",
        find: "if (this.view !== view) continue;",
        put: "",
      },
    ],
    test: { file: "store/refreshes.test.ts", name: "a lookup that began while a refresh ended" },
  },
  {
    name: "lookup runs ahead of its neighbours",
    breaks: ["VIEW", "V7"],
    does: "makes records resident that stand for a newer manifest than their neighbours",
    edits: [
      {
        file: "session/replica.ts",
        find: "if (gathered.view.loaded.etag === view.loaded.etag) {",
        put: "if (gathered.view.loaded.etag === view.loaded.etag || missing.size > 0) {",
      },
    ],
    test: { file: "store/refreshes.test.ts", name: "takes its neighbours to the newer view" },
  },
  {
    name: "refresh leaves lookups behind",
    breaks: ["VIEW", "V6"],
    does: "does not bring up what lookups made resident while it read",
    edits: [
      {
        file: "session/replica.ts",
        find: "const arrived = new Set([...all].filter((id) => !wanted.has(id)));",
        put: "const arrived = new Set([...all].filter((id) => !all.has(id)));",
      },
    ],
  },
  {
    name: "a part of a long log is left out",
    breaks: ["VIEW", "V1"],
    does: "lists one part less than a log of several pages is divided into",
    edits: [
      {
        file: "log/log-ranges.ts",
        find: "...bounds.slice(1).map(",
        put: "...bounds.slice(2).map(",
      },
    ],
  },
  {
    name: "lists known by their length",
    breaks: ["VIEW", "V3"],
    does: "takes as many low segments as the lists name for the listed ones, whatever their names",
    edits: [
      {
        file: "view/live-segments.ts",
        find: "return paths.size === count && digestOf(paths) === digest ? paths : undefined;",
        put: 'return paths.size === count && digest !== "" ? paths : undefined;',
      },
    ],
    test: { file: "view/fast-view.test.ts", name: "a late segment, or one that is gone already" },
  },
  {
    name: "any look is young",
    breaks: ["VIEW", "V10"],
    does: "opens on another store's look, however old",
    edits: [
      {
        file: "view/freshness.ts",
        find: "const isYoung = isRecent(whole?.listedAt, now, freshness.maxStaleMs);",
        put: "const isYoung = isRecent(whole && now, now, freshness.maxStaleMs);",
      },
    ],
  },
  {
    name: "a lost manifest is a new store",
    breaks: ["C3", "V2"],
    does: "starts at generation 0 where runs of a later one lie",
    edits: [
      {
        file: "view/lost-manifest.ts",
        find: "return manifest.generation === 0 && listed.some(isOfManifest);",
        put: "return manifest.generation < 0 && listed.some(isOfManifest);",
      },
    ],
    test: { file: "view/lost-manifest.test.ts", name: "an eager store whose manifest was lost" },
  },
  {
    name: "lazy writers found a store anew",
    breaks: ["V2"],
    does: "writes where a manifest was lost, when the store was opened lazily",
    edits: [
      {
        file: "session/session.ts",
        find: "      await checkManifest(replica.view);\n",
        put: "",
      },
    ],
    test: { file: "view/lost-manifest.test.ts", name: "no lazy store writes where a manifest" },
  },
];
