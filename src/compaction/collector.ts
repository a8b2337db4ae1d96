/** Which objects in `snapshots/` nobody can ever reference again (ORPHAN). Pure but for the listing. */
import { CorruptionError } from "../core/errors.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import { MANIFEST_PATH, parseRunBase, RUNS_PREFIX } from "../format/paths.ts";
import type { StorageBackend } from "../storage/backend.ts";

export async function listRuns(backend: StorageBackend): Promise<string[]> {
  const paths: string[] = [];
  for await (const page of backend.list(RUNS_PREFIX))
    paths.push(...page.objects.map(({ path }) => path));
  return paths;
}

/**
 * A run made on generation b can be published only as b + 1, so what an earlier base left behind
 * and the manifest does not mention is garbage for good.
 */
export function orphans(manifest: Manifest, listed: readonly string[]): string[] {
  const mentioned = new Set([
    ...manifest.runs.flatMap(({ path, index }) => [path, index]),
    ...manifest.retired.map(({ path }) => path),
  ]);
  return listed.filter((path) => {
    const base = parseRunBase(path);
    return base !== undefined && base < manifest.generation && !mentioned.has(path);
  });
}

/** Whether there are runs that no store without a manifest can have. */
export function lacksManifest(manifest: Manifest, listed: readonly string[]): boolean {
  return manifest.generation === 0 && listed.some(isOfManifest);
}

function isOfManifest(path: string): boolean {
  return (parseRunBase(path) ?? 0) >= 1;
}

/**
 * Guard: a store that has runs but no manifest has lost it; going on would delete every run.
 * @param manifest loaded after the listing: before it, others may have published the first ones
 * @throws CorruptionError
 */
export function checkManifestPresent(manifest: Manifest, listed: readonly string[]): void {
  if (!lacksManifest(manifest, listed)) return;
  const run = listed.find(isOfManifest);
  throw new CorruptionError(
    `${MANIFEST_PATH} is missing although ${run} exists: restore it before compacting; nothing was deleted`,
    { path: MANIFEST_PATH },
  );
}
