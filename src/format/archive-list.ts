/**
 * Lists of archives: objects that name the older archives of a store, which its manifest then knows by
 * their number (FORMAT, "Lists of archives"), so that it does not grow with every archive.
 */
import {
  checkReadable,
  corrupt,
  decodeSealed,
  encodeSealed,
  Fields,
  FORMAT,
  type Place,
} from "./json-line.ts";
import { asObject, CRC, SHA256 } from "./run-info-codec.ts";

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

/** A list as the manifest names it. */
export interface ArchiveList {
  readonly path: string;
  /** The checksum that the object carries, so that no other is taken for it. */
  readonly crc: string;
  /** How many archives it names. */
  readonly count: number;
  /** In all of them. */
  readonly records: number;
  /** In the order of their publication; undefined while it was not read. Not in the manifest. */
  readonly content?: readonly ArchiveInfo[] | undefined;
}

/** What a manifest keeps of the archives that it does not name itself. */
export interface ListedArchives {
  /** In the order of the publication of what they name. */
  readonly lists: readonly ArchiveList[];
  /** Names of their archives: each once, sorted. */
  readonly periods: readonly string[];
}

export const NO_LISTED: ListedArchives = { lists: [], periods: [] };

/** How many archives there are, and records in them. */
export function countArchives({
  archive,
  listedArchives: { lists },
}: {
  readonly archive: readonly ArchiveInfo[];
  readonly listedArchives: ListedArchives;
}): { readonly archives: number; readonly records: number } {
  const all = [...archive.map(({ records }) => ({ count: 1, records })), ...lists];
  return {
    archives: all.reduce((sum, { count }) => sum + count, 0),
    records: all.reduce((sum, { records }) => sum + records, 0),
  };
}

const KIND = "archives";
const LIST_PATH = /^snapshots\/[A-Za-z0-9-]+\.archives$/;
/** A legacy archive on S3 may be of any period, one with a slash too. */
const ARCHIVE_PATH = /^archive\/.+\.jsonl?$/s;

/** One sealed line. @returns its bytes, and the checksum that it carries */
export function encodeArchiveList(
  archives: readonly ArchiveInfo[],
  path: string,
): { readonly body: Buffer; readonly crc: string } {
  const { body, crc } = encodeSealed({ format: FORMAT, kind: KIND, archives });
  checkReadable(path, () => decodeArchiveList(body, summaryOf(archives, path, crc)));
  return { body, crc };
}

/** How a manifest names a list. */
export function summaryOf(
  content: readonly ArchiveInfo[],
  path: string,
  crc: string,
): ArchiveList & Pick<Required<ArchiveList>, "content"> {
  const records = content.reduce((sum, archive) => sum + archive.records, 0);
  return { path, crc, count: content.length, records, content };
}

/** @throws CorruptionError, FormatVersionError */
export function decodeArchiveList(
  bytes: Uint8Array,
  { path, crc, count, records }: ArchiveList,
): ArchiveInfo[] {
  const place = { path, offset: 0 };
  const sealed = decodeSealed(bytes, KIND, place);
  const archives = sealed.fields
    .array("archives")
    .map((archive) => decodeArchiveInfo(archive, place));
  const found = summaryOf(archives, path, sealed.crc);
  if (found.crc !== crc || found.count !== count || found.records !== records) {
    const told = `${crc} of ${count} archives with ${records} records`;
    const is = `${found.crc} of ${found.count} with ${found.records}`;
    throw corrupt(`expected the list ${told}, found ${is}`, place);
  }
  return archives;
}

/** @throws CorruptionError */
export function decodeArchiveInfo(value: unknown, place: Place): ArchiveInfo {
  const fields = fieldsOf(value, place);
  return {
    period: fields.string("period"),
    path: fields.matching("path", ARCHIVE_PATH, "a path in archive/"),
    records: fields.integer("records"),
    ...(fields.has("sha256") ? { sha256: fields.matching("sha256", SHA256, "64 hex digits") } : {}),
    ...(fields.has("crc") ? { crc: fields.matching("crc", CRC, "8 hex digits") } : {}),
  };
}

/** What a manifest holds; undefined where there are no lists. */
export function encodeListed({ lists, periods }: ListedArchives): object | undefined {
  if (lists.length === 0) return undefined;
  return {
    lists: lists.map(({ path, crc, count, records }) => ({ path, crc, count, records })),
    periods,
  };
}

/** @throws CorruptionError */
export function decodeListed(value: unknown, place: Place): ListedArchives {
  const fields = fieldsOf(value, place);
  const lists = fields.array("lists").map((item) => {
    const list = fieldsOf(item, place);
    return {
      path: list.matching("path", LIST_PATH, "a list in snapshots/"),
      crc: list.matching("crc", CRC, "8 hex digits"),
      count: list.integer("count", 1),
      records: list.integer("records"),
    };
  });
  if (lists.length === 0) throw corrupt("no lists of archives", place);
  const periods = fields.array("periods").map((period) => {
    return new Fields({ period }, place).string("period");
  });
  return { lists, periods };
}

function fieldsOf(value: unknown, place: Place): Fields {
  return new Fields(asObject(value, place), place);
}
