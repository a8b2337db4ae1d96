/** What a process keeps of a store between its openings over one backend. */
import type { LastClock } from "../core/hybrid-clock.ts";
import type { FlushGroup } from "../log/flush-group.ts";
import { ByteCache } from "../runs/byte-cache.ts";
import type { RunCache } from "../runs/run-objects.ts";
import type { StorageBackend } from "../storage/backend.ts";
import type { WarmLooks } from "../view/freshness.ts";
import { createWarmManifest, type WarmManifest } from "../view/manifest-store.ts";
import { Pace } from "./pace.ts";

/** What a store that is opened over the same backend finds in memory. */
export interface Warm {
  readonly location: string;
  /** Parts of runs, as bytes: valid by construction, because a run's name is never used again. */
  readonly cache: RunCache;
  readonly manifest: WarmManifest;
  readonly looks: WarmLooks;
  readonly lastClock: LastClock;
  readonly pace: Pace;
  /** Of the stores that flush together, as the options of the first one say. */
  flushGroup: FlushGroup | undefined;
}

const warmByBackend = new WeakMap<StorageBackend, Warm>();

export function warmOf(backend: StorageBackend, location: string): Warm {
  const held = warmByBackend.get(backend);
  if (held?.location === location) return held;
  const warm: Warm = {
    location,
    cache: new ByteCache(),
    manifest: createWarmManifest(),
    looks: { whole: undefined, snapshot: undefined },
    lastClock: { value: 0, hasWarned: false },
    pace: new Pace(),
    flushGroup: undefined,
  };
  warmByBackend.set(backend, warm);
  return warm;
}
