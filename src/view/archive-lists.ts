/** Lists of archives as objects: they are read only where archives are. */
import { CorruptionError } from "../core/errors.ts";
import { mapParallel } from "../core/parallel.ts";
import { type ArchiveInfo, type ArchiveList, decodeArchiveList } from "../format/archive-list.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import type { ByteCache, Sized } from "../runs/byte-cache.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import type { StorageBackend } from "../storage/backend.ts";

/** What lists name, by path: they never change. */
export type ArchiveListCache = ByteCache<readonly ArchiveInfo[]>;

/** Read at a time. */
const PARALLEL_MAX = 8;

/** The same manifest with what another one knows of the lists that both name. */
export function withKnownLists(manifest: Manifest, known: Manifest | undefined): Manifest {
  const { lists, periods } = manifest.listedArchives;
  if (lists.length === 0) return manifest;
  const contents = new Map(known?.listedArchives.lists.map(({ path, content }) => [path, content]));
  const listed = lists.map((list) => ({
    ...list,
    content: list.content ?? contents.get(list.path),
  }));
  return { ...manifest, listedArchives: { lists: listed, periods } };
}

/**
 * The same manifest with what its lists name.
 * @param onUnread called for each list that is gone, because a newer manifest has replaced it, or that
 *   cannot be read; it may throw. Otherwise the list stays without content
 */
export async function readArchiveLists(
  backend: StorageBackend,
  cache: ArchiveListCache,
  manifest: Manifest,
  onUnread: (error: CorruptionError | RunGoneError) => void,
): Promise<Manifest> {
  const { lists, periods } = manifest.listedArchives;
  if (lists.every(({ content }) => content !== undefined)) return manifest;
  const read = await mapParallel(lists, PARALLEL_MAX, async (list): Promise<ArchiveList> => {
    if (list.content !== undefined) return list;
    try {
      return { ...list, content: await cache.getOrLoad(list.path, () => load(backend, list)) };
    } catch (error) {
      if (!(error instanceof CorruptionError || error instanceof RunGoneError)) throw error;
      onUnread(error);
      return list;
    }
  });
  return { ...manifest, listedArchives: { lists: read, periods } };
}

async function load(
  backend: StorageBackend,
  list: ArchiveList,
): Promise<Sized<readonly ArchiveInfo[]>> {
  const { path } = list;
  const found = await backend.get(path);
  if (found.status !== "found") throw new RunGoneError(`${path} is gone`, { path });
  return { value: decodeArchiveList(found.body, list), bytes: found.body.length };
}

/** For who can do without a list: one that is gone was replaced, and is no matter for a warning. */
export function warnOfLists(
  onWarning: (message: string) => void,
): (error: CorruptionError | RunGoneError) => void {
  return (error) => {
    if (error instanceof RunGoneError) return;
    onWarning(`a list of archives cannot be read: ${error.message}`);
  };
}
