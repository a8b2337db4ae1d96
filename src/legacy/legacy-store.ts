/**
 * A store as the original opslog left it, until the first compaction turns it into ours: its
 * snapshot as entries below every operation, its log as segments.
 */
import { hash } from "node:crypto";
import type { CorruptionError } from "../core/errors.ts";
import type { LogRef } from "../log/log.ts";
import type { Segment } from "../format/segment.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { LegacyRun } from "./legacy-run.ts";
import { readLegacyLog } from "./log.ts";
import type { LegacyManifest } from "./manifest.ts";
import { orderLegacy } from "./order.ts";
import { readSnapshotHead } from "./snapshot.ts";

export interface LegacyStore {
  /** Changes whenever the manifest or the log changes: memory built on another one is of no use. */
  readonly fingerprint: string;
  readonly manifest: LegacyManifest;
  /** Its snapshot. */
  readonly run: LegacyRun;
  /**
   * The log: a ref for each operation, with its segment, clocks in the order in which they count.
   * Of its own, so that an operation that was seen is distinguished from one that was not.
   */
  readonly segments: readonly LogRef[];
  /** Lines of the log that cannot be read: one error for each object that holds some. */
  readonly corrupt: readonly CorruptionError[];
}

/**
 * Reads the log and the head of the snapshot. What is read stands for `manifest` only if that is
 * still current afterwards.
 * @param etag of the manifest
 * @param known what was read before: a snapshot is never replaced, so its head is not read again
 * @throws RunGoneError when there is no such snapshot, CorruptionError
 */
export async function loadLegacyStore(
  backend: StorageBackend,
  manifest: LegacyManifest,
  etag: string,
  known?: LegacyStore,
): Promise<LegacyStore> {
  const path = manifest.currentSnapshot;
  const [head, log] = await Promise.all([
    known?.run.path === path ? known.run.head : readSnapshotHead(backend, path),
    readLegacyLog(backend, manifest),
  ]);
  const fingerprint = hash("sha256", JSON.stringify([etag, log.digest]));
  const segments = orderLegacy(log.logs, head.version).map((segment) => refTo(segment, manifest));
  const run = new LegacyRun(backend, head, fingerprint, manifest.stats.activeRecords);
  return { fingerprint, manifest, run, segments, corrupt: log.corrupt };
}

function refTo(segment: Segment, { activeOps, activeAgentOps }: LegacyManifest): LogRef {
  const { agent, operations } = segment;
  const path = Object.hasOwn(activeAgentOps, agent) ? activeAgentOps[agent] : undefined;
  const text = JSON.stringify([agent, operations]);
  const clock = operations[0]?.clock ?? 0;
  return {
    key: hash("sha256", text),
    path: path ?? activeOps,
    range: undefined,
    lo: clock,
    hi: clock,
    filter: "any",
    bytes: text.length,
    segments: [segment],
  };
}
