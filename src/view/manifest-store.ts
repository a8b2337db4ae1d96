/** The manifest as an object that is replaced only by compare-and-swap. */
import { CorruptionError, OpslogError, WriteOutcomeUnknownError } from "../core/errors.ts";
import type { Runtime } from "../core/runtime.ts";
import type { ProtocolSettings } from "../core/settings.ts";
import {
  decodeManifest,
  EMPTY_MANIFEST,
  encodeManifest,
  type Manifest,
} from "../format/manifest-codec.ts";
import { MANIFEST_PATH, probePath } from "../format/paths.ts";
import { decodeRetiredList } from "../format/retired-list.ts";
import { loadLegacyStore, type LegacyStore } from "../legacy/legacy-store.ts";
import { type LegacyManifest, recognizeLegacyManifest } from "../legacy/manifest.ts";
import type { Catalogue } from "../format/catalogue.ts";
import { runsIn } from "../format/levels.ts";
import type { RunInfo } from "../format/run-info.ts";
import { ByteCache, type Sized } from "../runs/byte-cache.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import type { Precondition, StorageBackend } from "../storage/backend.ts";
import { Conditions } from "../storage/conditions.ts";
import { beyondBudget } from "../storage/wrapped-backend.ts";
import {
  type CatalogueCache,
  openCatalogues,
  readCatalogue,
  withContents,
  writeCatalogues,
} from "./catalogues.ts";
import { NameList } from "../core/name-list.ts";
import { type ArchiveListCache, readArchiveLists, withKnownLists } from "./archive-lists.ts";
import { checkManifestPresent, lacksManifest, listRuns } from "./lost-manifest.ts";

/** A manifest as one response gave it. */
export interface LoadedManifest {
  readonly manifest: Manifest;
  /** Undefined while there is no manifest object. */
  readonly etag: string | undefined;
  readonly lastModifiedMs: number | undefined;
  /** Date of the response that last showed it to be current. */
  readonly dateMs: number;
  /** What lies there is a legacy store; `manifest` is the empty one then. */
  readonly legacyManifest?: LegacyManifest | undefined;
}

/** What outlives a store in its process; see `engine/engine.ts`. */
export interface WarmManifest {
  /** The manifest that was loaded last, of whatever store over the same backend. */
  manifest: LoadedManifest | undefined;
  /** The highest generation that any of them has seen: a store that had one never has none again. */
  generation: number;
  /** Lists of published segments by path: immutable, as everything but the manifest. */
  readonly lists: ByteCache<NameList>;
  readonly catalogues: CatalogueCache;
  readonly archiveLists: ArchiveListCache;
  readonly conditions: Conditions;
}

/** Of lists of published segments. */
const LISTS_BYTES_MAX = 4 * 1024 * 1024;
/** Decoded they take about three times as much. */
const CATALOGUES_BYTES_MAX = 4 * 1024 * 1024;
/** How many manifests a proof of the preconditions is begun on, if others publish meanwhile. */
const PROBES_MAX = 3;

export function createWarmManifest(): WarmManifest {
  return {
    manifest: undefined,
    generation: 0,
    lists: new ByteCache(LISTS_BYTES_MAX),
    catalogues: new ByteCache(CATALOGUES_BYTES_MAX),
    archiveLists: new ByteCache(LISTS_BYTES_MAX),
    conditions: new Conditions(),
  };
}

export class ManifestStore {
  readonly #backend: StorageBackend;
  readonly #warm: WarmManifest;

  /** @param warm shared by the stores over one backend and location, one after the other */
  constructor(backend: StorageBackend, warm: WarmManifest = createWarmManifest()) {
    this.#backend = backend;
    this.#warm = warm;
  }

  /** @param known what was read before: an unchanged manifest then costs no body */
  async load(known?: LoadedManifest): Promise<LoadedManifest> {
    const loaded = await this.#load(known);
    this.#warm.conditions.read(this.#backend, loaded.manifest.conditions);
    // Which of two that are loaded at once is kept does not matter: requests name its etag.
    this.#warm.manifest = loaded.etag === undefined ? undefined : loaded;
    this.#warm.generation = Math.max(this.#warm.generation, loaded.manifest.generation);
    return loaded;
  }

  async #load(known: LoadedManifest | undefined): Promise<LoadedManifest> {
    const held = known ?? this.#warm.manifest;
    const found = await this.#backend.get(MANIFEST_PATH, { ifNoneMatch: held?.etag });
    switch (found.status) {
      case "unchanged":
        return { ...(held ?? ABSENT), dateMs: found.dateMs };
      case "absent":
        if (known?.etag !== undefined) {
          throw new CorruptionError(`${MANIFEST_PATH} was there and is gone`, {
            path: MANIFEST_PATH,
          });
        }
        return { ...ABSENT, dateMs: found.dateMs };
      case "found": {
        const { etag, lastModifiedMs, dateMs } = found;
        const legacyManifest = recognizeLegacyManifest(found.body, MANIFEST_PATH);
        const read = { etag, lastModifiedMs, dateMs };
        if (legacyManifest === undefined) {
          const decoded = decodeManifest(found.body, MANIFEST_PATH);
          const listed = withKnownLists(decoded, held?.manifest);
          const isPlain = listed.catalogues.length === 0;
          const manifest = isPlain ? listed : withContents(listed, held?.manifest);
          return { manifest, ...read };
        }
        if ((known?.manifest.generation ?? 0) > 0) throw replacedByOriginal();
        return { manifest: EMPTY_MANIFEST, ...read, legacyManifest };
      }
    }
  }

  /**
   * The same with the content of its catalogues, as far as it is needed. A newer manifest that is
   * loaded after it has what it has of theirs.
   * @param isNeeded default: all
   * @throws RunGoneError when a newer manifest has replaced one; CorruptionError
   */
  async open(
    loaded: LoadedManifest,
    isNeeded?: (catalogue: Catalogue) => boolean,
  ): Promise<LoadedManifest> {
    const manifest = await this.openManifest(loaded.manifest, isNeeded);
    return manifest === loaded.manifest ? loaded : { ...loaded, manifest };
  }

  /** As `open`. */
  async openManifest(
    manifest: Manifest,
    isNeeded: (catalogue: Catalogue) => boolean = () => true,
  ): Promise<Manifest> {
    const isClosed = (one: Catalogue): boolean => one.content === undefined && isNeeded(one);
    if (!manifest.catalogues.some(isClosed)) return manifest;
    return openCatalogues(this.#backend, this.#warm.catalogues, manifest, isNeeded);
  }

  /** @throws as `open` */
  async runsIn(catalogue: Catalogue): Promise<readonly RunInfo[]> {
    if (catalogue.content !== undefined) return runsIn(catalogue);
    const content = await readCatalogue(this.#backend, this.#warm.catalogues, catalogue);
    return runsIn({ ...catalogue, content });
  }

  /**
   * The same with what its lists of archives name; a newer manifest that is loaded after it has what it
   * has of theirs.
   * @param onUnread as `readArchiveLists` documents
   */
  async openArchives(
    loaded: LoadedManifest,
    onUnread: (error: CorruptionError | RunGoneError) => void,
  ): Promise<LoadedManifest> {
    const cache = this.#warm.archiveLists;
    const manifest = await readArchiveLists(this.#backend, cache, loaded.manifest, onUnread);
    return manifest === loaded.manifest ? loaded : { ...loaded, manifest };
  }

  /**
   * Keys that lists of published segments name, by the list. One that is gone is left out, and so
   * is one that cannot be read: what it names then counts as not published, which does no harm.
   */
  async readLists(
    paths: readonly string[],
    onCorrupt: (error: CorruptionError) => void,
  ): Promise<ReadonlyMap<string, NameList>> {
    const found = await Promise.all(
      paths.map(async (path) => {
        try {
          return [
            path,
            await this.#warm.lists.getOrLoad(path, () => this.#readList(path)),
          ] as const;
        } catch (error) {
          if (error instanceof CorruptionError) onCorrupt(error);
          else if (!(error instanceof RunGoneError)) throw error;
          return undefined;
        }
      }),
    );
    return new Map(found.filter((entry) => entry !== undefined));
  }

  async #readList(path: string): Promise<Sized<NameList>> {
    const found = await this.#backend.get(path);
    if (found.status !== "found") throw new RunGoneError(`${path} is gone`, { path });
    const value = new NameList(decodeRetiredList(found.body, path));
    return { value, bytes: value.bytes };
  }

  /**
   * What a legacy store holds, as far as it is known without reading its snapshot.
   * It counts only if `load` still returns the same manifest afterwards.
   * @returns the error when its snapshot is not there
   */
  async loadLegacy(
    { legacyManifest, etag }: LoadedManifest,
    known?: LegacyStore,
  ): Promise<LegacyStore | RunGoneError | undefined> {
    if (legacyManifest === undefined || etag === undefined) return undefined;
    try {
      return await loadLegacyStore(this.#backend, legacyManifest, etag, known);
    } catch (error) {
      if (error instanceof RunGoneError) return error;
      throw error;
    }
  }

  /**
   * Where there is no manifest of ours, makes sure that none was lost.
   * @param legacyLog a legacy log object, where a listing shows one
   * @returns the manifest as it is now
   * @throws CorruptionError when there are runs, or a legacy log, but no manifest for them,
   *   or when a store of this process has seen one
   */
  async confirm(found: LoadedManifest, legacyLog: string | undefined): Promise<LoadedManifest> {
    if (found.manifest.generation > 0) return found;
    const runs = await listRuns(this.#backend);
    const lacksLog = found.etag === undefined && legacyLog !== undefined;
    const wasKnown = this.#warm.generation > 0;
    if (!lacksManifest(found.manifest, runs) && !lacksLog && !wasKnown) return found;
    const again = await this.load();
    if (again.manifest.generation > 0) return again;
    if (again.legacyManifest === undefined) checkManifestPresent(again.manifest, runs);
    else if (lacksManifest(again.manifest, runs) || wasKnown) throw replacedByOriginal();
    if (wasKnown) throw manifestGone(this.#warm.generation);
    if (again.etag === undefined && legacyLog !== undefined) {
      throw new CorruptionError(
        `${MANIFEST_PATH} is missing although ${legacyLog}, a log of the original opslog, ` +
          "exists: restore it; nothing was changed",
        { path: MANIFEST_PATH },
      );
    }
    return again;
  }

  /**
   * To be called before publishing: shows that the medium's preconditions hold, unless a manifest
   * says so; the next one will. Five writes and a deletion. What is collected (ORPHAN) while it is
   * probed shows nothing: then the newer manifest counts, and is what the next probe belongs to.
   * @throws NotSupportedError when they do not, and what the backend throws
   */
  async prove(
    manifest: Manifest,
    { runtime, settings }: { readonly runtime: Runtime; readonly settings: ProtocolSettings },
  ): Promise<void> {
    let current = manifest;
    for (let probes = 1; ; probes++) {
      const { generation, conditions } = current;
      const pathOf = (rand: string): string => probePath(generation, rand);
      const options = { runtime, pathOf, timeoutMs: settings.writeTimeoutMs };
      const isOutdated = async (): Promise<boolean> => {
        ({ manifest: current } = await this.load());
        return current.generation !== generation && probes < PROBES_MAX;
      };
      if (await this.#warm.conditions.prove(this.#backend, conditions, options, isOutdated)) return;
    }
  }

  /**
   * Writes the catalogues that are new, replaces `current` by `next` and reads it back
   * (DELETE-AFTER-PUBLISH). Undefined: another published first, or the outcome cannot be known;
   * nothing may be deleted then.
   * @param current with the content of its catalogues, as `next`
   * @throws as `writeCatalogues` and `open`, and what the backend throws
   */
  async publish(
    current: LoadedManifest,
    next: Manifest,
    timeoutMs: number,
  ): Promise<LoadedManifest | undefined> {
    const precondition: Precondition =
      current.etag === undefined ? { ifAbsent: true } : { ifMatch: current.etag };
    const conditions = this.#warm.conditions.added(next.conditions);
    const body = encodeManifest({ ...next, conditions });
    if (next.catalogues.length > 0) {
      await writeCatalogues(this.#backend, current.manifest, next, timeoutMs);
    }
    try {
      await this.#backend.put(MANIFEST_PATH, body, precondition, { timeoutMs });
    } catch (error) {
      // It may have succeeded all the same; reading it back shows it.
      if (!(error instanceof WriteOutcomeUnknownError)) throw error;
    }
    const after = await this.#readBack();
    const { nonce, lineage } = after.manifest;
    if (nonce !== next.nonce && !lineage.includes(next.nonce)) return undefined;
    const known = withContents(withKnownLists(after.manifest, next), next);
    return this.open({ ...after, manifest: known });
  }

  /** @throws WriteOutcomeUnknownError when it cannot be read: what was sent may be current */
  async #readBack(): Promise<LoadedManifest> {
    try {
      return await new ManifestStore(beyondBudget(this.#backend)).load();
    } catch (cause) {
      if (cause instanceof OpslogError && cause.action === "stop") throw cause;
      throw new WriteOutcomeUnknownError(
        `${MANIFEST_PATH} was sent and could not be read back: it may have been replaced`,
        { path: MANIFEST_PATH, cause },
      );
    }
  }
}

function manifestGone(generation: number): CorruptionError {
  return new CorruptionError(
    `${MANIFEST_PATH} is missing although this process has seen its generation ${generation}: restore ` +
      "it; nothing was changed. For a new store where an old one was deleted, start a new process",
    { path: MANIFEST_PATH },
  );
}

/** Only a program that had the store open before it was upgraded can do that. */
function replacedByOriginal(): CorruptionError {
  return new CorruptionError(
    `${MANIFEST_PATH} was replaced by the original opslog after the store was upgraded: stop that ` +
      "program and restore the manifest; nothing was changed",
    { path: MANIFEST_PATH },
  );
}

const ABSENT: LoadedManifest = {
  manifest: EMPTY_MANIFEST,
  etag: undefined,
  lastModifiedMs: undefined,
  dateMs: 0,
};
