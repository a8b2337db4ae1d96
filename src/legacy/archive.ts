/** Archives of the original opslog: one JSON object for each period. */
import { CorruptionError, OpslogError } from "../core/errors.ts";
import { checksumOf, corrupt, parseObject } from "../format/json-line.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { validateArchiveSegment } from "./validate.ts";

/** The period that an archive's path names. */
export function legacyPeriod(path: string): string {
  return /^archive\/archive-(.+)\.json$/s.exec(path)?.[1] ?? path;
}

/** How many records an archive holds, and its checksum, which it does not carry itself. */
export interface ArchiveFacts {
  readonly records: number;
  readonly crc: string;
}

/** @throws CorruptionError */
export async function surveyArchive(backend: StorageBackend, path: string): Promise<ArchiveFacts> {
  const found = await backend.get(path);
  const place = { path, offset: 0 };
  if (found.status !== "found") throw corrupt("the archive is not there", place);
  try {
    const text = Buffer.from(found.body).toString("utf8");
    const { records } = validateArchiveSegment(parseObject(text, place));
    return { records: Object.keys(records).length, crc: checksumOf(found.body) };
  } catch (cause) {
    if (!(cause instanceof OpslogError) || cause instanceof CorruptionError) throw cause;
    throw corrupt(cause.message, place, cause);
  }
}
