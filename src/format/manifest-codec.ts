/** `manifest.json`: the root of a store (FORMAT, "Manifest"). Its size does not depend on traffic. */
import type { ProofScope } from "../core/proof-scope.ts";
import { LANES } from "../core/lane.ts";
import { CLOCK_MAX } from "../core/version.ts";
import {
  checkReadable,
  corrupt,
  decodeSealed,
  encodeSealed,
  Fields,
  type Place,
} from "./json-line.ts";
import {
  type ArchiveInfo,
  decodeArchiveInfo,
  decodeListed,
  encodeListed,
  type ListedArchives,
  NO_LISTED,
} from "./archive-list.ts";
import { LANE_NUMBER_MAX, MANIFEST_PATH } from "./paths.ts";
import { type Catalogue, decodeCatalogueInfo, encodeCatalogueInfo } from "./catalogue.ts";
import type { RunInfo } from "./run-info.ts";
import { asObject, decodeRunInfo, encodeRunInfo } from "./run-info-codec.ts";

export type { ArchiveInfo } from "./archive-list.ts";

/** What was current when: decides how far a purge may go. */
export interface HistoryEntry {
  readonly generation: number;
  readonly clock: number;
  /** LastModified of that manifest, ms since 1970 by the medium's clock. */
  readonly at: number;
}

/** What is known of the segments that a list names without reading it. */
export interface SegmentSummary {
  readonly count: number;
  /** Highest clock in any of them. */
  readonly hi: number;
  /** 16 hex digits: XOR of the first 64 bits of the SHA-256 of each path. */
  readonly digest: string;
}

/** An object no longer referenced, deleted once it has been so for the grace period. */
export interface Retired {
  readonly path: string;
  /** The object lists further ones, which are deleted with it (FORMAT, "Lists"). */
  readonly list?: true;
  /** What it lists are segments that the runs hold: its grace period is `segmentGraceMs`. */
  readonly segments?: SegmentSummary;
  /** What it lists are claims and transactions that were passed: its grace is `guardGraceMs` (KEEP). */
  readonly claims?: true;
  /** LastModified of the manifest that retired it; filled in by the next one. */
  readonly at?: number;
}

/** The counts that a manifest holds. */
export interface ManifestStats {
  /** Records that are not deleted or archived: exact after a full merge, else by the log's `prev`. */
  readonly activeRecords: number;
  /** Records in the archive. */
  readonly archivedRecords: number;
  /** ISO 8601, by the medium's clock. */
  readonly created: string;
  /** When the last checkpoint was written, in ISO 8601. */
  readonly lastCheckpoint: string;
}

export interface Manifest {
  /** Grows by one with every publication; 0 is the empty manifest that no object holds. */
  readonly generation: number;
  /** Differs in any two publications. */
  readonly nonce: string;
  /** Nonces of up to 16 generations before this one, newest first. */
  readonly lineage: readonly string[];
  /** Highest clock included in the runs. */
  readonly clock: number;
  /** The oldest level first, each level in the order of its ids; without those in catalogues. */
  readonly runs: readonly RunInfo[];
  /** Of levels whose runs are not in `runs`: older than those, the oldest first (`levels.ts`). */
  readonly catalogues: readonly Catalogue[];
  /** Levels whose runs are being merged into the next older one that is not among them. */
  readonly draining: readonly number[];
  /** Segments with lo <= purgeFloor are ignored whole (FLOOR). */
  readonly purgeFloor: number;
  /** Runs and archives made on an earlier generation are never named again (ORPHAN). */
  readonly collected: number;
  /** There are objects that no manifest names and that may still be: they are collected later. */
  readonly uncollected: boolean;
  /** Generation from which on a memory has seen every deletion that was purged (RELOAD). */
  readonly lastPurge: number;
  /** Segments outlive the publication that holds them by so much, never less from here on; 0: not. */
  readonly segmentGraceMs: number;
  /** Purges wait at least this long after a publication (LATE), never less from here on. */
  readonly tombstoneGraceMs: number;
  /**
   * By lane: the number up to which everything is merged or void (LANE-FLOOR); those that are not
   * listed have 0. Undefined: the store takes no guarded writes.
   */
  readonly lanes: readonly number[] | undefined;
  /** Merged claims outlive their publication by so much (KEEP), never less from here on; 0: no lanes. */
  readonly guardGraceMs: number;
  /** Every lane has passed a seal that was made after this generation was published; 0: not yet. */
  readonly sealed: number;
  readonly history: readonly HistoryEntry[];
  readonly retired: readonly Retired[];
  /** In the order of their publication; without those in lists, which are older. */
  readonly archive: readonly ArchiveInfo[];
  readonly listedArchives: ListedArchives;
  /** Highest schema version included. */
  readonly schema: number;
  /** Where preconditions were seen to hold, oldest first; empty on a medium that needs no proof. */
  readonly conditions: readonly ProofScope[];
  /** Information only. */
  readonly stats: ManifestStats | undefined;
}

/** What an absent manifest stands for. */
export const EMPTY_MANIFEST: Manifest = {
  generation: 0,
  nonce: "",
  lineage: [],
  clock: 0,
  runs: [],
  catalogues: [],
  draining: [],
  purgeFloor: 0,
  collected: 0,
  uncollected: false,
  lastPurge: 0,
  segmentGraceMs: 0,
  tombstoneGraceMs: 0,
  lanes: undefined,
  guardGraceMs: 0,
  sealed: 0,
  history: [],
  retired: [],
  archive: [],
  listedArchives: NO_LISTED,
  schema: 0,
  conditions: [],
  stats: undefined,
};

/** What a manifest without the field promises. */
const TOMBSTONE_GRACE_MS = 86_400_000;

/**
 * The newest one. Version 1 had no levels: a reader that does not know of excised spans would read
 * too much. Version 2 had no catalogues and no lists of archives: one that does not know of them would
 * read too little, and a publisher would forget them. Version 3 had no lanes: one that does not know of
 * them would read too little, and purge what claims were decided on.
 */
export const MANIFEST_FORMAT = 4;

/** The oldest one whose programs understand the manifest. */
function formatOf({ lanes, catalogues, listedArchives }: Manifest): number {
  if (lanes !== undefined) return MANIFEST_FORMAT;
  return catalogues.length + listedArchives.lists.length === 0 ? 2 : 3;
}

/** How many publications back a publisher can still find its own nonce. */
export const LINEAGE_MAX = 16;

export function encodeManifest(manifest: Manifest): Buffer {
  const { segmentGraceMs, tombstoneGraceMs } = manifest;
  const { body } = encodeSealed({
    format: formatOf(manifest),
    kind: "manifest",
    ...manifest,
    runs: manifest.runs.map(encodeRunInfo),
    catalogues:
      manifest.catalogues.length === 0 ? undefined : manifest.catalogues.map(encodeCatalogueInfo),
    draining: manifest.draining.length === 0 ? undefined : manifest.draining,
    collected: manifest.collected || undefined,
    uncollected: manifest.uncollected || undefined,
    segmentGraceMs: segmentGraceMs || undefined,
    tombstoneGraceMs: tombstoneGraceMs === TOMBSTONE_GRACE_MS ? undefined : tombstoneGraceMs,
    guardGraceMs: manifest.guardGraceMs || undefined,
    sealed: manifest.sealed || undefined,
    listedArchives: encodeListed(manifest.listedArchives),
    conditions: manifest.conditions.length === 0 ? undefined : manifest.conditions,
  });
  checkReadable(MANIFEST_PATH, () => decodeManifest(body, MANIFEST_PATH));
  return body;
}

/** @throws CorruptionError, FormatVersionError */
export function decodeManifest(bytes: Uint8Array, path: string): Manifest {
  const place = { path, offset: 0 };
  const { fields } = decodeSealed(bytes, "manifest", place, MANIFEST_FORMAT);
  const nested = (value: unknown): Fields => new Fields(asObject(value, place), place);
  const items = fields.array("runs");
  // In format 1 any two runs may share ids: each is a level of its own.
  const runs = items.map((run, at) => decodeRunInfo(nested(run), place, items.length - 1 - at));
  if (fields.integer("generation", 1) < fields.integer("lastPurge")) {
    throw corrupt("lastPurge is above the generation", place);
  }
  return {
    generation: fields.integer("generation", 1),
    nonce: fields.string("nonce"),
    lineage: strings(fields.array("lineage"), place),
    clock: fields.integer("clock", 0, CLOCK_MAX),
    runs,
    catalogues: fields.has("catalogues")
      ? fields.array("catalogues").map((entry) => decodeCatalogueInfo(entry, place))
      : [],
    draining: fields.has("draining")
      ? fields.array("draining").map((level) => new Fields({ level }, place).integer("level"))
      : [],
    purgeFloor: fields.integer("purgeFloor", 0, CLOCK_MAX),
    collected: fields.has("collected") ? fields.integer("collected") : 0,
    uncollected: fields.has("uncollected"),
    lastPurge: fields.integer("lastPurge"),
    segmentGraceMs: fields.has("segmentGraceMs") ? fields.integer("segmentGraceMs") : 0,
    tombstoneGraceMs: fields.has("tombstoneGraceMs")
      ? fields.integer("tombstoneGraceMs")
      : TOMBSTONE_GRACE_MS,
    ...decodeLanes(fields, place),
    history: fields.array("history").map((entry) => {
      const f = nested(entry);
      return {
        generation: f.integer("generation"),
        clock: f.integer("clock"),
        at: f.integer("at"),
      };
    }),
    retired: fields.array("retired").map((entry) => {
      const f = nested(entry);
      return {
        path: f.string("path"),
        ...(f.has("list") ? { list: true } : {}),
        ...(f.has("segments") ? { segments: decodeSummary(nested(f.get("segments"))) } : {}),
        ...(f.has("claims") ? { claims: true } : {}),
        ...(f.has("at") ? { at: f.integer("at") } : {}),
      };
    }),
    archive: fields.array("archive").map((entry) => decodeArchiveInfo(entry, place)),
    listedArchives: fields.has("listedArchives")
      ? decodeListed(fields.get("listedArchives"), place)
      : NO_LISTED,
    schema: fields.integer("schema"),
    conditions: fields.has("conditions")
      ? fields.array("conditions").map((entry) => decodeScope(nested(entry)))
      : [],
    stats: fields.has("stats") ? decodeStats(nested(fields.get("stats"))) : undefined,
  };
}

function decodeLanes(
  fields: Fields,
  place: Place,
): Pick<Manifest, "lanes" | "guardGraceMs" | "sealed"> {
  const lanes = fields.has("lanes")
    ? fields.array("lanes").map((n) => new Fields({ n }, place).integer("n", 0, LANE_NUMBER_MAX))
    : undefined;
  if (lanes !== undefined && (lanes.length > LANES || lanes.at(-1) === 0)) {
    throw corrupt("more lanes than there are, or zeros at their end", place);
  }
  const guardGraceMs = fields.has("guardGraceMs") ? fields.integer("guardGraceMs", 1) : 0;
  const sealed = fields.has("sealed") ? fields.integer("sealed", 1) : 0;
  if (lanes === undefined && guardGraceMs + sealed > 0) throw corrupt("seals without lanes", place);
  if (sealed > fields.integer("generation")) throw corrupt("sealed is above the generation", place);
  return { lanes, guardGraceMs, sealed };
}

/** LANE-FLOOR: claims of the lane count above this number only. */
export function laneFloor({ lanes }: Pick<Manifest, "lanes">, lane: number): number {
  return lanes?.[lane] ?? 0;
}

function decodeSummary(fields: Fields): SegmentSummary {
  return {
    count: fields.integer("count", 1),
    hi: fields.integer("hi", 1, CLOCK_MAX),
    digest: fields.matching("digest", /^[0-9a-f]{16}$/, "16 hex digits"),
  };
}

function decodeScope(fields: Fields): ProofScope {
  return {
    endpoint: fields.string("endpoint"),
    bucket: fields.string("bucket"),
    client: fields.string("client"),
  };
}

function decodeStats(fields: Fields): ManifestStats {
  return {
    activeRecords: fields.integer("activeRecords"),
    archivedRecords: fields.integer("archivedRecords"),
    created: fields.string("created"),
    lastCheckpoint: fields.string("lastCheckpoint"),
  };
}

function strings(values: readonly unknown[], place: Place): string[] {
  return values.map((value) => {
    if (typeof value !== "string") throw corrupt(`expected a string, found ${typeof value}`, place);
    return value;
  });
}
