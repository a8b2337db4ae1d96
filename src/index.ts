/** `opslog-serverless`: names only. Loads no AWS code. */
export type { CompactionReport } from "./compaction/report.ts";
export {
  type Cost,
  type CostBudget,
  DEFAULT_PRICES,
  type ListPrices,
  type PriceOptions,
  type RequestKind,
} from "./core/cost.ts";
export { applyDelta, createDelta, isDeltaSmaller } from "./core/delta.ts";
export {
  AccessDeniedError,
  AssertionError,
  BudgetExceededError,
  ConditionFailedError,
  ConflictError,
  CorruptionError,
  type ErrorAction,
  FollowerExpiredError,
  FormatVersionError,
  InvalidArgumentError,
  LockedError,
  NotHydratedError,
  NotOpenError,
  NotSupportedError,
  OnceInProgressError,
  OnceLostError,
  OpslogError,
  ReadOnlyError,
  RecordNotFoundError,
  SchemaTooNewError,
  StoreNotFoundError,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "./core/errors.ts";
export type { MediumTime } from "./core/medium-clock.ts";
export type { Delta, Delta as DeltaPatch, Operation } from "./core/operation.ts";
export type { DeepReadonly, Storable } from "./core/record-types.ts";
export type { Runtime } from "./core/runtime.ts";
export { DEFAULT_SETTINGS, type ProtocolSettings } from "./core/settings.ts";
export { LamportClock } from "./legacy/api/lamport-clock.ts";
export { acquireLock, releaseLock } from "./legacy/api/lock-files.ts";
export { streamSnapshotFile } from "./legacy/api/stream-snapshot-file.ts";
export {
  type ArchiveSegment,
  type Manifest,
  type ManifestStats,
  type Snapshot,
  validateArchiveSegment,
  validateManifest,
  validateOp,
  validateSnapshot,
} from "./legacy/validate.ts";
export type { ProofScope } from "./core/proof-scope.ts";
export type * from "./storage/backend.ts";
export { BaseBackend } from "./storage/base-backend.ts";
export { FsBackend, type FsBackendOptions } from "./storage/fs/fs-backend.ts";
export { MemoryBackend } from "./storage/memory-backend.ts";
export type { Backlog } from "./session/backlog-alarm.ts";
export { compact, type CompactOptions, type CompactReport } from "./compaction/compact.ts";
export type { ManifestInfo } from "./read/manifest-info.ts";
export type { Freshness } from "./view/freshness.ts";
export type { StoreOptions } from "./session/options.ts";
export type {
  DeleteOptions,
  SetOptions,
  UpdateOptions,
  WrittenVersion,
} from "./store/conditions.ts";
export type { OnceOptions } from "./store/once.ts";
export type { ReadOptions } from "./store/reads.ts";
export { verify, type VerifyOptions, type VerifyReport } from "./store/verify.ts";
export type { ScanOptions } from "./store/scan-range.ts";
export { Store } from "./store/store.ts";
export type { Transaction, TransactionFunction, TransactionOptions } from "./store/transactions.ts";
export type { StoreStats } from "./store/stats.ts";
export type { VersionToken } from "./format/version-token.ts";
export type { WriteMode } from "./session/commit-queue.ts";
