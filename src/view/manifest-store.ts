/** The manifest as an object that is replaced only by compare-and-swap. */
import { CorruptionError, WriteOutcomeUnknownError } from "../core/errors.ts";
import {
  decodeManifest,
  EMPTY_MANIFEST,
  encodeManifest,
  type Manifest,
} from "../format/manifest-codec.ts";
import { MANIFEST_PATH } from "../format/paths.ts";
import type { Precondition, StorageBackend } from "../storage/backend.ts";
import { checkManifestPresent, lacksManifest, listRuns } from "./lost-manifest.ts";

/** A manifest as one response gave it. */
export interface LoadedManifest {
  readonly manifest: Manifest;
  /** Undefined while there is no manifest object. */
  readonly etag: string | undefined;
  readonly lastModifiedMs: number | undefined;
  /** Date of the response that last showed it to be current. */
  readonly dateMs: number;
}

export class ManifestStore {
  readonly #backend: StorageBackend;

  constructor(backend: StorageBackend) {
    this.#backend = backend;
  }

  /** @param known what was read before: an unchanged manifest then costs no body */
  async load(known?: LoadedManifest): Promise<LoadedManifest> {
    const found = await this.#backend.get(MANIFEST_PATH, { ifNoneMatch: known?.etag });
    switch (found.status) {
      case "unchanged":
        return { ...(known ?? ABSENT), dateMs: found.dateMs };
      case "absent":
        if (known?.etag !== undefined) {
          throw new CorruptionError(`${MANIFEST_PATH} was there and is gone`, {
            path: MANIFEST_PATH,
          });
        }
        return { ...ABSENT, dateMs: found.dateMs };
      case "found": {
        const { etag, lastModifiedMs, dateMs } = found;
        return {
          manifest: decodeManifest(found.body, MANIFEST_PATH),
          etag,
          lastModifiedMs,
          dateMs,
        };
      }
    }
  }

  /**
   * Where there is no manifest, makes sure that none was lost.
   * @returns the manifest as it is now
   * @throws CorruptionError when there are runs but no manifest
   */
  async confirm(found: LoadedManifest): Promise<LoadedManifest> {
    if (found.etag !== undefined) return found;
    const runs = await listRuns(this.#backend);
    if (!lacksManifest(found.manifest, runs)) return found;
    const again = await this.load();
    checkManifestPresent(again.manifest, runs);
    return again;
  }

  /**
   * Replaces `current` by `next` and reads it back (DELETE-AFTER-PUBLISH). Undefined: somebody
   * else published first, or the outcome cannot be known; nothing may be deleted then.
   */
  async publish(
    current: LoadedManifest,
    next: Manifest,
    timeoutMs: number,
  ): Promise<LoadedManifest | undefined> {
    const precondition: Precondition =
      current.etag === undefined ? { ifAbsent: true } : { ifMatch: current.etag };
    try {
      await this.#backend.put(MANIFEST_PATH, encodeManifest(next), precondition, { timeoutMs });
    } catch (error) {
      // It may have landed all the same; reading it back tells.
      if (!(error instanceof WriteOutcomeUnknownError)) throw error;
    }
    const after = await this.load();
    const { nonce, lineage } = after.manifest;
    return nonce === next.nonce || lineage.includes(next.nonce) ? after : undefined;
  }
}

const ABSENT: Omit<LoadedManifest, "dateMs"> = {
  manifest: EMPTY_MANIFEST,
  etag: undefined,
  lastModifiedMs: undefined,
};
