/**
 * A store as the original opslog left it, until the first compaction turns it into ours: its
 * snapshot as entries below every operation, its log as segments.
 */
import type { RunEntry } from "../core/version.ts";
import type { SegmentRef } from "../log/log.ts";
import type { OriginalManifest } from "./original-manifest.ts";

export interface OriginalBase {
  /** Changes whenever the manifest or the log changes: memory built on another one is of no use. */
  readonly fingerprint: string;
  readonly manifest: OriginalManifest;
  /** The log: refs that carry their segments, clocks in the order in which they count. */
  readonly segments: readonly SegmentRef[];
  /** Records of the snapshot in its order, at clock 0. @throws RunGoneError once it was deleted */
  snapshot(): AsyncGenerator<readonly RunEntry[]>;
}
