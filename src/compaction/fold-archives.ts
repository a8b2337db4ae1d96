/** Which archives a manifest names itself, and which ones lists name (PROTOCOL, A4). Pure. */
import {
  type ArchiveInfo,
  type ArchiveList,
  encodeArchiveList,
  summaryOf,
} from "../format/archive-list.ts";
import type { Manifest } from "../format/manifest-codec.ts";

/** What stays in the manifest when the others go to a list. */
const KEPT_SHARE = 1 / 2;

export interface FoldedArchives extends Pick<Manifest, "archive" | "listedArchives"> {
  /** The list that is yet to be written. */
  readonly made: { readonly path: string; readonly body: Buffer } | undefined;
}

/**
 * The archives of the next manifest. When they become too many, the older ones go to a list, which
 * takes in the newer lists of no more archives than its own: so there are few of them, and an archive
 * is written anew as often as the number of archives doubles.
 * @param manifest with the content of its lists, as far as they can be read
 * @param path of a list that this makes
 */
export function foldArchives(
  { archive, listedArchives }: Pick<Manifest, "archive" | "listedArchives">,
  added: ArchiveInfo,
  inlineMax: number,
  path: string,
): FoldedArchives {
  const all = [...archive, added];
  if (all.length <= inlineMax) return { archive: all, listedArchives, made: undefined };
  const keptFrom = all.length - Math.floor(inlineMax * KEPT_SHARE);
  let content: readonly ArchiveInfo[] = all.slice(0, keptFrom);
  const lists: ArchiveList[] = [...listedArchives.lists];
  for (let last = lists.at(-1); last !== undefined; last = lists.at(-1)) {
    if (last.content === undefined || last.count > content.length) break;
    content = [...last.content, ...content];
    lists.pop();
  }
  const { body, crc } = encodeArchiveList(content, path);
  const names = content.map(({ period }) => period);
  const periods = [...new Set([...listedArchives.periods, ...names])].toSorted();
  return {
    archive: all.slice(keptFrom),
    listedArchives: { lists: [...lists, summaryOf(content, path, crc)], periods },
    made: { path, body },
  };
}
