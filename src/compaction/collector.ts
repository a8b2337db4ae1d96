/** Which runs and archives no manifest can ever reference again (ORPHAN), and what lists name. */
import { CorruptionError } from "../core/errors.ts";
import { allRuns } from "../format/levels.ts";
import type { Manifest, Retired } from "../format/manifest-codec.ts";
import { parseArchiveBase, parseRunBase } from "../format/paths.ts";
import { decodeRetiredList } from "../format/retired-list.ts";
import type { CompactorParts } from "./report.ts";

/**
 * What was made on a generation below `collected` is never published any more (C7), so what such a
 * base left behind and the manifest does not mention is garbage for good.
 * @param manifest with the content of its catalogues
 * @param listed objects in `snapshots/` and `archive/`; what this code does not name is left alone
 */
export function orphans(manifest: Manifest, listed: readonly string[]): string[] {
  const { lists } = manifest.listedArchives;
  // What a list names that was not read is not known: no archive is judged then.
  const areListsRead = lists.every(({ content }) => content !== undefined);
  const mentioned = new Set([
    ...allRuns(manifest).flatMap(({ path, index }) => [path, index]),
    ...manifest.catalogues.map(({ path }) => path),
    ...manifest.retired.map(({ path }) => path),
    ...manifest.archive.map(({ path }) => path),
    ...lists.map(({ path }) => path),
    ...lists.flatMap(({ content = [] }) => content.map(({ path }) => path)),
  ]);
  return listed.filter((path) => {
    const base = parseRunBase(path) ?? (areListsRead ? parseArchiveBase(path) : undefined);
    return base !== undefined && base < manifest.collected && !mentioned.has(path);
  });
}

/**
 * Deletes what lists of legacy objects name, not the lists.
 * @param due retired long enough
 * @returns how many objects they name
 */
export async function deleteListed(
  { backend, onWarning }: Pick<CompactorParts, "backend" | "onWarning">,
  due: readonly Retired[],
): Promise<number> {
  let deleted = 0;
  for (const { path } of due.filter(isLegacyList)) {
    const found = await backend.get(path);
    if (found.status !== "found") continue;
    try {
      const paths = decodeRetiredList(found.body, path);
      await backend.delete(paths);
      deleted += paths.length;
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      onWarning(
        `objects of the original opslog stay, because their list is damaged: ${error.message}`,
      );
    }
  }
  return deleted;
}

function isLegacyList({ list, segments, claims }: Retired): boolean {
  return list === true && segments === undefined && claims === undefined;
}
