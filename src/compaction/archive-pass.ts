/**
 * Publishes records as archived: one object that holds them, and one run with a tombstone for each
 * at the record's own version, in one manifest (PROTOCOL, A3 to A5). An update that the caller's
 * view did not hold has a higher version and survives.
 */
import { createHash } from "node:crypto";
import { assert } from "../core/assert.ts";
import { ConflictError, UnavailableError, WriteOutcomeUnknownError } from "../core/errors.ts";
import { compareText, type RunEntry } from "../core/version.ts";
import { encodeArchive } from "../format/archive-codec.ts";
import { levelsOf } from "../format/levels.ts";
import type { ArchiveInfo } from "../format/archive-list.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import { archiveListPath, archivePath, runPaths } from "../format/paths.ts";
import type { RunInfo } from "../format/run-info.ts";
import { fromSorted } from "../runs/merge.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import { writeRun } from "../runs/run-writer.ts";
import { warnOfLists } from "../view/archive-lists.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import { foldArchives } from "./fold-archives.ts";
import { preparePublication, publicationNonce } from "./publication.ts";
import type { CompactorParts } from "./report.ts";

export interface ArchiveRequest {
  /** The manifest of the view that the records were taken from. */
  readonly loaded: LoadedManifest;
  readonly period: string;
  /** Winners of that view, no tombstones, as they are stored. */
  readonly records: readonly RunEntry[];
}

/** Objects that only the next manifest after `loaded` can name. */
export interface PreparedArchive {
  readonly loaded: LoadedManifest;
  readonly archive: ArchiveInfo & { readonly sha256: string };
  /** All archives, with this one. */
  readonly archives: Pick<Manifest, "archive" | "listedArchives">;
  readonly tombstones: RunInfo;
  /** Highest clock and schema version among the records. */
  readonly clock: number;
  readonly schema: number;
}

interface PassParts extends Pick<
  CompactorParts,
  "backend" | "runtime" | "settings" | "compression" | "manifests" | "onWarning"
> {
  /** More archives than these go to a list. */
  readonly archivesInlineMax: number;
}

/**
 * Writes archive and tombstones; nothing refers to them yet. Undefined: a name of 64 random bits is
 * taken, by a write of this pass that was repeated on the way.
 * @param request with at least one record
 * @throws what the backend throws; UnavailableError also where a write may have landed: what nothing
 *   refers to has no effect
 */
export async function prepareArchive(
  parts: PassParts,
  request: ArchiveRequest,
): Promise<PreparedArchive | undefined> {
  try {
    return await writeObjects(parts, request);
  } catch (error) {
    if (error instanceof ConflictError) return undefined;
    if (!(error instanceof WriteOutcomeUnknownError)) throw error;
    throw new UnavailableError(`archive: nothing was archived: ${error.message}`, {
      path: error.path,
      cause: error,
    });
  }
}

async function writeObjects(
  parts: PassParts,
  { loaded, period, records }: ArchiveRequest,
): Promise<PreparedArchive | undefined> {
  const { backend, runtime, settings, compression, manifests } = parts;
  await manifests.prove(loaded.manifest, parts);
  const base = loaded.manifest.generation;
  const entries = records.toSorted((a, b) => compareText(a.id, b.id));
  const timeoutMs = settings.writeTimeoutMs;
  const encode = (): Generator<Buffer> => encodeArchive({ period, base, entries });
  const path = archivePath({ period, base, rand: runtime.randomHex(16) });
  const put = await backend.put(path, bodyOf(encode), { ifAbsent: true }, { timeoutMs });
  if (put.status === "conflict") return undefined;
  const run = runPaths(base, runtime.randomHex(16));
  const tombstones = await writeRun(backend, {
    path: run.path,
    indexPath: run.index,
    base,
    compression,
    entries: fromSorted(entries.map((entry) => ({ ...entry, text: undefined }))),
    timeoutMs,
  });
  assert(tombstones !== undefined, "an archive holds at least one record");
  const archive = { period, path, records: entries.length, sha256: sha256Of(encode()) };
  const clock = entries.reduce((highest, { version }) => Math.max(highest, version.clock), 0);
  const archives = await writeList(parts, loaded, archive);
  if (archives === undefined) return undefined;
  const schema = entries.reduce((highest, entry) => Math.max(highest, entry.schemaVersion), 0);
  return { loaded, archive, archives, tombstones, clock, schema };
}

/** Undefined: the name of a list is taken. */
async function writeList(
  { backend, runtime, settings, manifests, onWarning, archivesInlineMax }: PassParts,
  loaded: LoadedManifest,
  archive: ArchiveInfo,
): Promise<PreparedArchive["archives"] | undefined> {
  const isFull = loaded.manifest.archive.length >= archivesInlineMax;
  // One that cannot be read stays as it is.
  const { manifest } = isFull
    ? await manifests.openArchives(loaded, warnOfLists(onWarning))
    : loaded;
  const path = archiveListPath(manifest.generation, runtime.randomHex(16));
  const { made, ...archives } = foldArchives(manifest, archive, archivesInlineMax, path);
  if (made === undefined) return archives;
  const timeoutMs = settings.writeTimeoutMs;
  const put = await backend.put(made.path, made.body, { ifAbsent: true }, { timeoutMs });
  return put.status === "conflict" ? undefined : archives;
}

/**
 * Makes both current at once. Undefined: another process published first, or the outcome is not
 * known; the archive's path in a later manifest decides.
 */
export async function publishArchive(
  { runtime, settings, manifests }: Pick<PassParts, "runtime" | "settings" | "manifests">,
  { loaded: given, archive, archives, tombstones, clock, schema }: PreparedArchive,
): Promise<LoadedManifest | undefined> {
  const loaded = await orUndefined(manifests.open(given));
  if (loaded === undefined) return undefined;
  const { stats } = loaded.manifest;
  const change = {
    nonce: publicationNonce(runtime.randomHex(16), [archive.path, archive.sha256]),
    dateMs: loaded.dateMs,
    levels: [{ runs: [tombstones], isDraining: false }, ...levelsOf(loaded.manifest)],
    clock,
    schema,
    activeRecords: Math.max(0, (stats?.activeRecords ?? 0) - archive.records),
    archives,
    keepsDue: () => true,
  } as const;
  const { manifest } = preparePublication(loaded, change, settings);
  return orUndefined(manifests.publish(loaded, manifest, settings.writeTimeoutMs));
}

/** Undefined where another was faster: a catalogue is gone, or the name of one is taken. */
async function orUndefined<R>(result: Promise<R>): Promise<R | undefined> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof RunGoneError || error instanceof ConflictError) return undefined;
    throw error;
  }
}

/** One piece as bytes, which can be sent again as they are; more as a stream. */
function bodyOf(encode: () => Generator<Buffer>): Uint8Array | AsyncIterable<Uint8Array> {
  const pieces = encode();
  const first = pieces.next();
  const isWhole = first.done !== true && pieces.next().done === true;
  return isWhole ? first.value : streamOf(encode);
}

async function* streamOf(encode: () => Generator<Buffer>): AsyncGenerator<Uint8Array> {
  for (const piece of encode()) yield piece;
}

function sha256Of(pieces: Iterable<Buffer>): string {
  const digest = createHash("sha256");
  for (const piece of pieces) digest.update(piece);
  return digest.digest("hex");
}
