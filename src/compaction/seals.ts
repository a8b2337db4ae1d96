/** Seals of all lanes, after which deletions may be purged (PROTOCOL, K5). */
import { mapParallel } from "../core/parallel.ts";
import { encodeClaim, type SealClaim } from "../format/claim.ts";
import { laneFloor, type Manifest } from "../format/manifest-codec.ts";
import { claimPath } from "../format/paths.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import { nextHistory, tombstoneGraceOf } from "./publication.ts";
import type { CompactorParts } from "./report.ts";

/** Of the grace of deletions, between two seals: an hour at the default. */
const SEALS_A_GRACE = 24;
const WRITES_PARALLEL = 32;

/** How long a seal serves before the next is made. */
export function sealSpacingMs(manifest: Manifest, settings: CompactorParts["settings"]): number {
  return tombstoneGraceOf(manifest, settings) / SEALS_A_GRACE;
}

/** Whether the last one is old enough. The history is thinned: it may count as somewhat later than it was. */
export function isSealDue(loaded: LoadedManifest, settings: CompactorParts["settings"]): boolean {
  const { sealed } = loaded.manifest;
  const last = nextHistory(loaded).find(({ generation }) => generation >= sealed);
  const spacingMs = sealSpacingMs(loaded.manifest, settings);
  return sealed === 0 || last === undefined || loaded.dateMs - last.at >= spacingMs;
}

/**
 * Creates one in every lane, at the next number that is free. Whoever puts a claim above it has seen it, so
 * its view began after the manifest was current.
 * @param heights by lane, the highest number that is known to be taken
 * @throws WriteOutcomeUnknownError, and what else the backend throws: what was created is passed as any claim
 */
export function createSeals(
  parts: Pick<CompactorParts, "backend" | "runtime" | "settings" | "lanes">,
  manifest: Manifest,
  heights: ReadonlyMap<number, number>,
  signal: AbortSignal | undefined,
): Promise<SealClaim[]> {
  const { backend, runtime, settings } = parts;
  const lanes = Array.from({ length: parts.lanes }, (_, lane) => lane);
  return mapParallel(lanes, WRITES_PARALLEL, async (lane) => {
    for (let n = Math.max(laneFloor(manifest, lane), heights.get(lane) ?? 0) + 1; ; n++) {
      signal?.throwIfAborted();
      const nonce = runtime.randomHex(16);
      const seal = { kind: "seal", lane, n, nonce, recent: { from: n, ids: new Map() } } as const;
      const timeoutMs = settings.writeTimeoutMs;
      const put = await backend.put(
        claimPath(seal),
        encodeClaim(seal),
        { ifAbsent: true },
        { timeoutMs },
      );
      if (put.status !== "conflict") return seal;
    }
  });
}
