/** What `verify` looks at besides runs, archives and log: lists, names, and what nothing refers to. */
import { orphans } from "../compaction/collector.ts";
import { CorruptionError } from "../core/errors.ts";
import { corrupt, shorten } from "../format/json-line.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import { filterAdmits, filterHash } from "../format/paths.ts";
import { decodeRetiredList } from "../format/retired-list.ts";
import type { Segment } from "../format/segment.ts";
import type { SegmentRef } from "../log/log.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { listReferable } from "../view/lost-manifest.ts";

/** What is wrong with the lists of retired objects; one that was deleted meanwhile is fine. */
export async function checkRetired(
  backend: StorageBackend,
  { retired }: Manifest,
): Promise<CorruptionError[]> {
  const problems: CorruptionError[] = [];
  for (const { path, list, segments } of retired) {
    // Lists of segments are part of what a view goes by.
    const found = list === true && segments === undefined ? await backend.get(path) : undefined;
    if (found?.status !== "found") continue;
    try {
      decodeRetiredList(found.body, path);
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      problems.push(error);
    }
  }
  return problems;
}

/** A point read goes by the filter in a segment's name, so that must not deny an id inside. */
export function checkFilter(
  { path, range, filter }: SegmentRef,
  { operations }: Segment,
): CorruptionError[] {
  const denied = operations.find(({ id }) => !filterAdmits(filter, filterHash(id)));
  if (denied === undefined) return [];
  const place = { path, offset: range?.offset ?? 0 };
  return [corrupt(`the name denies record ${shorten(denied.id)}, which lies inside`, place)];
}

/** Objects that crashed compactions left behind: the next one deletes them. */
export async function findGarbage(backend: StorageBackend, manifest: Manifest): Promise<string[]> {
  return orphans(manifest, await listReferable(backend)).toSorted();
}
