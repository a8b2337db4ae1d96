/** Archives as users name and read them: all objects of a period, ours and those of a legacy store. */
import { describeValue } from "../core/describe.ts";
import { CorruptionError, InvalidArgumentError } from "../core/errors.ts";
import { mapParallel } from "../core/parallel.ts";
import { messageOf } from "../core/realm.ts";
import { parseRecord } from "../core/record.ts";
import { decodeArchive } from "../format/archive-codec.ts";
import { checksumOf, corrupt } from "../format/json-line.ts";
import type { ArchiveInfo } from "../format/archive-list.ts";
import { archiveName } from "../format/paths.ts";
import { legacyPeriod } from "../legacy/archive.ts";
import { type ArchiveSegment, validateArchiveSegment } from "../legacy/validate.ts";
import type { StorageBackend } from "../storage/backend.ts";
import type { View } from "../view/view.ts";
import type { Engine } from "../engine/engine.ts";
import { migrateRecord } from "../core/schema.ts";

const PERIOD_CHARACTERS_MAX = 128;
/** Objects of one period read at a time. */
const READS_MAX = 8;

/** An object that a manifest names; a legacy one does not count its records. */
type ArchiveObject = Omit<ArchiveInfo, "records"> & Partial<Pick<ArchiveInfo, "records">>;

interface ArchivedRecord {
  readonly id: string;
  readonly value: unknown;
  /** Version it was written under; unknown in legacy archives. */
  readonly schema: number | undefined;
}

/** @throws InvalidArgumentError unless it can be the name of an archive */
export function checkPeriod(period: unknown): string {
  const isName =
    typeof period === "string" &&
    period !== "." &&
    period !== ".." &&
    period.length <= PERIOD_CHARACTERS_MAX &&
    period.isWellFormed() &&
    // eslint-disable-next-line no-control-regex -- control characters are what is refused
    /^[^/\\\u0000-\u001f\u007f-\u009f]+$/.test(period);
  if (isName) return period;
  throw new InvalidArgumentError(
    `an archive's name has 1 to ${PERIOD_CHARACTERS_MAX} characters, no "/", "\\" or control ` +
      `characters, and is not "." or "..": found ${describeValue(period)}`,
  );
}

/** The quarter in local time, "2026-Q4". */
export function defaultPeriod(nowMs: number): string {
  const date = new Date(nowMs);
  return `${date.getFullYear()}-Q${Math.floor(date.getMonth() / 3) + 1}`;
}

/**
 * All records of a period, those archived last winning; undefined when there is no such period.
 * @param segment the period, or the name that it is listed under
 * @throws CorruptionError, FormatVersionError, SchemaTooNewError; RunGoneError when a newer manifest
 *   has replaced a list of archives
 */
export async function loadArchive(
  { backend, manifests, schema }: Engine,
  view: View,
  segment: string,
): Promise<Map<string, unknown> | undefined> {
  const isWanted = (period: string): boolean => {
    return period === segment || archiveName(period) === segment;
  };
  const isListed = view.loaded.manifest.listedArchives.periods.some(isWanted);
  const loaded = isListed ? await manifests.openArchives(view.loaded, refuse) : view.loaded;
  const objects = archiveObjects({ ...view, loaded }).filter(({ period }) => isWanted(period));
  if (objects.length === 0) return undefined;
  const read = await mapParallel(objects, READS_MAX, (object) => readArchive(backend, object));
  const records = new Map<string, unknown>();
  for (const { id, value, schema: from } of read.flat()) {
    records.set(id, from === undefined ? value : migrateRecord(schema, id, value, from));
  }
  return records;
}

function refuse(error: Error): never {
  throw error;
}

/**
 * What is wrong with the archives of a view, as far as its lists were read.
 * @throws FormatVersionError, what the backend throws
 */
export async function checkArchives(
  backend: StorageBackend,
  view: View,
): Promise<CorruptionError[]> {
  const problems: CorruptionError[] = [];
  for (const object of archiveObjects(view)) {
    try {
      await readArchive(backend, object);
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      problems.push(error);
    }
  }
  return problems;
}

/** In the order of their publication. */
function archiveObjects({ loaded: { manifest }, legacy }: View): ArchiveObject[] {
  const paths = legacy?.manifest.archiveSegments ?? [];
  const original = paths.map((path) => ({ path, period: legacyPeriod(path) }));
  const listed = manifest.listedArchives.lists.flatMap(({ content = [] }) => content);
  return [...original, ...listed, ...manifest.archive];
}

async function readArchive(
  backend: StorageBackend,
  object: ArchiveObject,
): Promise<ArchivedRecord[]> {
  const { path, period, records, sha256, crc } = object;
  const found = await backend.get(path);
  if (found.status !== "found") {
    throw new CorruptionError(`the manifest names ${path}, which is not there`, { path });
  }
  const { buffer, byteOffset, byteLength } = found.body;
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  const place = { path, offset: 0 };
  if (crc !== undefined && checksumOf(bytes) !== crc) {
    throw corrupt(`checksum: expected ${crc}, found ${checksumOf(bytes)}`, place);
  }
  if (sha256 === undefined) return decodeLegacy(bytes, path);
  const archive = decodeArchive(bytes, sha256, path);
  if (archive.period !== period) {
    throw corrupt(`an archive of "${archive.period}", expected "${period}"`, place);
  }
  if (archive.entries.length !== records) {
    throw corrupt(`found ${archive.entries.length} records, expected ${records}`, place);
  }
  return archive.entries.map(({ id, text = "", schemaVersion }) => {
    return { id, value: parseRecord(id, text, path), schema: schemaVersion };
  });
}

/** Its `version` is always 1 and says nothing of the records: they are returned as they are. */
function decodeLegacy(bytes: Buffer, path: string): ArchivedRecord[] {
  let archive: ArchiveSegment<unknown>;
  try {
    archive = validateArchiveSegment<unknown>(JSON.parse(bytes.toString("utf8")));
  } catch (cause) {
    const reason = messageOf(cause);
    throw corrupt(reason, { path, offset: 0 }, cause);
  }
  return Object.entries(archive.records).map(([id, value]) => ({ id, value, schema: undefined }));
}
