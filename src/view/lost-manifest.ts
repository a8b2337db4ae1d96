/** Guard: objects that no store without a manifest can have mean that the manifest was lost. */
import { append } from "../core/bulk.ts";
import { CorruptionError } from "../core/errors.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import {
  ARCHIVE_PREFIX,
  MANIFEST_PATH,
  parseArchiveBase,
  parseRunBase,
  RUNS_PREFIX,
} from "../format/paths.ts";
import type { StorageBackend } from "../storage/backend.ts";

/** Every object in `snapshots/`. */
export function listRuns(backend: StorageBackend): Promise<string[]> {
  return listPaths(backend, RUNS_PREFIX);
}

/** Every object that a manifest names: in `snapshots/` and `archive/`. */
export async function listReferable(backend: StorageBackend): Promise<string[]> {
  const prefixes = [RUNS_PREFIX, ARCHIVE_PREFIX];
  return (await Promise.all(prefixes.map((prefix) => listPaths(backend, prefix)))).flat();
}

async function listPaths(backend: StorageBackend, prefix: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const page of backend.list(prefix)) {
    append(
      paths,
      page.objects.map(({ path }) => path),
    );
  }
  return paths;
}

/** Whether there are objects that were made on a manifest, and there is none. */
export function lacksManifest(manifest: Manifest, listed: readonly string[]): boolean {
  return manifest.generation === 0 && listed.some(isOfManifest);
}

function isOfManifest(path: string): boolean {
  return (parseRunBase(path) ?? parseArchiveBase(path) ?? 0) >= 1;
}

/**
 * Going on would write below what was lost, and delete every run.
 * @param manifest loaded after the listing: before it, others may have published the first ones
 * @throws CorruptionError
 */
export function checkManifestPresent(manifest: Manifest, listed: readonly string[]): void {
  if (!lacksManifest(manifest, listed)) return;
  const found = listed.find(isOfManifest);
  throw new CorruptionError(
    `${MANIFEST_PATH} is missing although ${found} exists: restore it; nothing was changed`,
    { path: MANIFEST_PATH },
  );
}
