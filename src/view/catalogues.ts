/** Catalogues as objects: reading what a manifest names, and writing what the next one names. */
import { isDeepStrictEqual } from "node:util";
import { mapParallel } from "../core/parallel.ts";
import {
  ConflictError,
  CorruptionError,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "../core/errors.ts";
import {
  type Catalogue,
  decodeCatalogue,
  encodeCatalogue,
  encodeCatalogueInfo,
} from "../format/catalogue.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import type { RunInfo } from "../format/run-info.ts";
import type { ByteCache, Sized } from "../runs/byte-cache.ts";
import { summarizeRuns } from "../runs/catalogue-summary.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import type { StorageBackend } from "../storage/backend.ts";

/** What catalogues hold, by path: they never change. */
export type CatalogueCache = ByteCache<readonly RunInfo[]>;

/** Read or written at a time. */
const PARALLEL_MAX = 32;

/** The same manifest with what a newer or an older one has read of the catalogues that both name. */
export function withContents(manifest: Manifest, known: Manifest | undefined): Manifest {
  const contents = new Map(known?.catalogues.map(({ path, content }) => [path, content]));
  const catalogues = manifest.catalogues.map((catalogue) =>
    catalogue.content === undefined
      ? { ...catalogue, content: contents.get(catalogue.path) }
      : catalogue,
  );
  return { ...manifest, catalogues };
}

/**
 * The same manifest with the content of its catalogues, as far as it is needed.
 * @throws RunGoneError when a newer manifest has replaced one; CorruptionError
 */
export async function openCatalogues(
  backend: StorageBackend,
  cache: CatalogueCache,
  manifest: Manifest,
  isNeeded: (catalogue: Catalogue) => boolean,
): Promise<Manifest> {
  const catalogues = await mapParallel(manifest.catalogues, PARALLEL_MAX, async (catalogue) => {
    if (catalogue.content !== undefined || !isNeeded(catalogue)) return catalogue;
    return { ...catalogue, content: await readCatalogue(backend, cache, catalogue) };
  });
  return { ...manifest, catalogues };
}

export function readCatalogue(
  backend: StorageBackend,
  cache: CatalogueCache,
  catalogue: Catalogue,
): Promise<readonly RunInfo[]> {
  return cache.getOrLoad(catalogue.path, () => load(backend, catalogue));
}

async function load(
  backend: StorageBackend,
  catalogue: Catalogue,
): Promise<Sized<readonly RunInfo[]>> {
  const { path } = catalogue;
  const found = await backend.get(path);
  if (found.status !== "found") throw new RunGoneError(`the catalogue ${path} is gone`, { path });
  const value = decodeCatalogue(found.body, catalogue);
  const described = encodeCatalogueInfo({ ...catalogue, ...summarizeRuns(value) });
  if (!isDeepStrictEqual(described, encodeCatalogueInfo(catalogue))) {
    throw new CorruptionError(`${path} does not hold what the manifest says`, { path });
  }
  return { value, bytes: found.body.length };
}

/**
 * Writes the catalogues that only `next` names; nothing refers to them yet.
 * @throws ConflictError when a name is taken: by a write of this call that was repeated on the way;
 *   UnavailableError also where a write may have landed, since what nothing refers to has no effect
 */
export async function writeCatalogues(
  backend: StorageBackend,
  before: Manifest,
  next: Manifest,
  timeoutMs: number,
): Promise<void> {
  const known = new Set(before.catalogues.map(({ path }) => path));
  const made = next.catalogues.filter(({ path }) => !known.has(path));
  await mapParallel(made, PARALLEL_MAX, async ({ path, content = [] }) => {
    const { body } = encodeCatalogue(content, path);
    const put = await backend.put(path, body, { ifAbsent: true }, { timeoutMs }).catch(notMade);
    if (put.status === "conflict") throw new ConflictError(`${path} exists already`, { path });
  });
}

function notMade(cause: unknown): never {
  if (!(cause instanceof WriteOutcomeUnknownError)) throw cause;
  const message = `nothing was published: ${cause.message}`;
  throw new UnavailableError(message, { path: cause.path, cause });
}
