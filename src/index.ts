/** `opslog-serverless`: names only. Loads no AWS code. */
export type { CompactionReport } from "./compaction/report.ts";
export { applyDelta, createDelta, isDeltaSmaller } from "./core/delta.ts";
export {
  AccessDeniedError,
  AssertionError,
  ConflictError,
  CorruptionError,
  type ErrorAction,
  FormatVersionError,
  InvalidArgumentError,
  LockedError,
  NotHydratedError,
  NotOpenError,
  NotSupportedError,
  OpslogError,
  ReadOnlyError,
  RecordNotFoundError,
  SchemaTooNewError,
  StoreNotFoundError,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "./core/errors.ts";
export type { Delta, Delta as DeltaPatch, Operation } from "./core/operation.ts";
export type { Runtime } from "./core/runtime.ts";
export { DEFAULT_SETTINGS, type ProtocolSettings } from "./core/settings.ts";
export { LamportClock } from "./original/lamport-clock.ts";
export { acquireLock, releaseLock } from "./original/lock-files.ts";
export { streamSnapshotFile } from "./original/stream-snapshot-file.ts";
export {
  type ArchiveSegment,
  type Manifest,
  type ManifestStats,
  type Snapshot,
  validateArchiveSegment,
  validateManifest,
  validateOp,
  validateSnapshot,
} from "./original/validate.ts";
export type * from "./storage/backend.ts";
export { BaseBackend } from "./storage/base-backend.ts";
export { FsBackend, type FsBackendOptions } from "./storage/fs-backend.ts";
export { MemoryBackend } from "./storage/memory-backend.ts";
export { compact, type CompactOptions } from "./store/compact.ts";
export type { ManifestInfo } from "./store/manifest-info.ts";
export type { Freshness } from "./store/look.ts";
export type { StoreOptions } from "./store/options.ts";
export type { ReadOptions } from "./store/resident-reads.ts";
export { verify, type VerifyOptions, type VerifyReport } from "./store/verify.ts";
export { Store, type StoreStats } from "./store/store.ts";
export type { WriteMode } from "./store/write-buffer.ts";
