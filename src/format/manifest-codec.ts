/** `manifest.json`: the root of a store (FORMAT, "Manifest"). Its size does not depend on traffic. */
import type { ProofScope } from "../core/proof-scope.ts";
import { CLOCK_MAX } from "../core/version.ts";
import {
  checkHeader,
  checkReadable,
  checkSealedLine,
  corrupt,
  Fields,
  isSealedAsOurs,
  parseObject,
  type Place,
  sealLine,
} from "./json-line.ts";
import { MANIFEST_PATH } from "./paths.ts";
import type { IdSpan, IndexPartition, RunInfo } from "./run-info.ts";
import { decodeSeparator, encodeSeparator } from "./run-index.ts";

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
  /** LastModified of the manifest that retired it; filled in by the next one. */
  readonly at?: number;
}

/** One object of archived records; a period may have several, and a later one wins. */
export interface ArchiveInfo {
  /** What the user called it. */
  readonly period: string;
  /** `archive/….jsonl`; `archive/….json` for a legacy archive. */
  readonly path: string;
  readonly records: number;
  /** Undefined for a legacy archive. */
  readonly sha256?: string;
  /** CRC-32 of a legacy archive, which carries none; unknown in older manifests. */
  readonly crc?: string;
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
  /** The oldest level first, each level in the order of its ids (`levels.ts`). */
  readonly runs: readonly RunInfo[];
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
  readonly history: readonly HistoryEntry[];
  readonly retired: readonly Retired[];
  /** In the order of their publication. */
  readonly archive: readonly ArchiveInfo[];
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
  draining: [],
  purgeFloor: 0,
  collected: 0,
  uncollected: false,
  lastPurge: 0,
  segmentGraceMs: 0,
  tombstoneGraceMs: 0,
  history: [],
  retired: [],
  archive: [],
  schema: 0,
  conditions: [],
  stats: undefined,
};

/** What a manifest without the field promises. */
const TOMBSTONE_GRACE_MS = 86_400_000;

/** Version 1 had no levels: a reader that does not know of excised spans would read too much. */
export const MANIFEST_FORMAT = 2;

/** How many publications back a publisher can still find its own nonce. */
export const LINEAGE_MAX = 16;

export function encodeManifest(manifest: Manifest): Buffer {
  const runs = manifest.runs.map(({ partitions, excised = [], ...run }) => ({
    ...run,
    excised: excised.length === 0 ? undefined : excised.map(({ from, to }) => [from, to ?? null]),
    partitions: partitions.map((part, at) => encodePartition(part, partitions[at - 1])),
  }));
  const { segmentGraceMs, tombstoneGraceMs } = manifest;
  const json = JSON.stringify({
    format: MANIFEST_FORMAT,
    kind: "manifest",
    ...manifest,
    runs,
    draining: manifest.draining.length === 0 ? undefined : manifest.draining,
    collected: manifest.collected || undefined,
    uncollected: manifest.uncollected || undefined,
    segmentGraceMs: segmentGraceMs || undefined,
    tombstoneGraceMs: tombstoneGraceMs === TOMBSTONE_GRACE_MS ? undefined : tombstoneGraceMs,
    conditions: manifest.conditions.length === 0 ? undefined : manifest.conditions,
  });
  const bytes = Buffer.from(`${sealLine(json)}\n`);
  checkReadable(MANIFEST_PATH, () => decodeManifest(bytes, MANIFEST_PATH));
  return bytes;
}

/** @throws CorruptionError, FormatVersionError */
export function decodeManifest(bytes: Uint8Array, path: string): Manifest {
  const place = { path, offset: 0 };
  const text = Buffer.from(bytes).toString("utf8");
  const line = text.trimEnd();
  const object = parseObject(line, place);
  const isOurs = (): boolean => isSealedAsOurs(line, undefined, MANIFEST_FORMAT);
  checkHeader(object, "manifest", place, isOurs, MANIFEST_FORMAT);
  if (text !== `${line}\n`) throw corrupt("expected one line with its line feed", place);
  checkSealedLine(line, place);
  const fields = new Fields(object, place);
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
        ...(f.has("at") ? { at: f.integer("at") } : {}),
      };
    }),
    archive: fields.array("archive").map((entry) => decodeArchiveInfo(nested(entry))),
    schema: fields.integer("schema"),
    conditions: fields.has("conditions")
      ? fields.array("conditions").map((entry) => decodeScope(nested(entry)))
      : [],
    stats: fields.has("stats") ? decodeStats(nested(fields.get("stats"))) : undefined,
  };
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

function decodeArchiveInfo(fields: Fields): ArchiveInfo {
  return {
    period: fields.string("period"),
    path: fields.matching("path", ARCHIVE_PATH, "a path in archive/"),
    records: fields.integer("records"),
    ...(fields.has("sha256") ? { sha256: fields.matching("sha256", SHA256, "64 hex digits") } : {}),
    ...(fields.has("crc") ? { crc: fields.matching("crc", CRC, "8 hex digits") } : {}),
  };
}

function decodeRunInfo(fields: Fields, place: Place, defaultLevel: number): RunInfo {
  const partitions: IndexPartition[] = [];
  for (const part of fields.array("partitions")) {
    partitions.push(decodePartition(part, partitions.at(-1)?.separator ?? "", place));
  }
  if (partitions.length === 0) throw corrupt("a run without index partitions", place);
  return {
    path: fields.matching("path", RUN_PATH, "a path in snapshots/"),
    index: fields.matching("index", RUN_PATH, "a path in snapshots/"),
    bytes: fields.integer("bytes", 1),
    ...(fields.has("rawBytes") ? { rawBytes: fields.integer("rawBytes", 1) } : {}),
    records: fields.integer("records", 1),
    tombstones: fields.integer("tombstones"),
    minId: fields.string("minId"),
    maxId: fields.string("maxId"),
    // Manifests of before it was counted lack it: any of its records may be that old.
    minSchema: fields.has("minSchema") ? fields.integer("minSchema", 1) : 1,
    sha256: fields.matching("sha256", SHA256, "64 hex digits"),
    partitions,
    level: fields.has("level") ? fields.integer("level") : defaultLevel,
    ...(fields.has("since") ? { since: fields.integer("since", 1) } : {}),
    ...(fields.has("oldestMs") ? { oldestMs: fields.integer("oldestMs") } : {}),
    ...(fields.has("excised") ? { excised: decodeSpans(fields.array("excised"), place) } : {}),
  };
}

/** @throws CorruptionError unless they ascend and are apart, and none of them is empty */
function decodeSpans(items: readonly unknown[], place: Place): IdSpan[] {
  const spans: IdSpan[] = [];
  for (const item of items) {
    const [from, to]: readonly unknown[] = Array.isArray(item) ? item : [];
    const fields = new Fields({ from, to }, place);
    const span = { from: fields.string("from"), to: to === null ? undefined : fields.string("to") };
    const before = spans.at(-1);
    const isAbove = before === undefined || (before.to !== undefined && before.to < span.from);
    if (!isAbove || (span.to !== undefined && span.to <= span.from)) {
      throw corrupt("excised spans must ascend and be apart", place);
    }
    spans.push(span);
  }
  if (spans.length === 0) throw corrupt("no excised spans", place);
  return spans;
}

const SHA256 = /^[0-9a-f]{64}$/;
/** A legacy archive on S3 may be of any period, one with a slash too. */
const ARCHIVE_PATH = /^archive\/.+\.jsonl?$/s;
const RUN_PATH = /^snapshots\/[A-Za-z0-9-]+\.(?:jsonl|index)$/;

const CRC = /^[0-9a-f]{8}$/;

function encodePartition(part: IndexPartition, before?: IndexPartition): readonly unknown[] {
  const { separator, offset, length, dataOffset, crc } = part;
  const numbers = [offset, length, dataOffset];
  const item = [...encodeSeparator(separator, before?.separator ?? ""), ...numbers];
  return crc === undefined ? item : [...item, crc];
}

function decodePartition(value: unknown, before: string, place: Place): IndexPartition {
  const { separator, values } = decodeSeparator(value, before, place);
  const [offset, length, dataOffset, crc] = values;
  const fields = new Fields({ offset, length, dataOffset, crc }, place);
  return {
    separator,
    offset: fields.integer("offset"),
    length: fields.integer("length", 1),
    dataOffset: fields.integer("dataOffset"),
    // Manifests of before it was noted lack it.
    ...(crc === undefined ? {} : { crc: fields.matching("crc", CRC, "8 hex digits") }),
  };
}

function asObject(value: unknown, place: Place): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw corrupt(`expected an object, found ${typeof value}`, place);
}

function strings(values: readonly unknown[], place: Place): string[] {
  return values.map((value) => {
    if (typeof value !== "string") throw corrupt(`expected a string, found ${typeof value}`, place);
    return value;
  });
}
