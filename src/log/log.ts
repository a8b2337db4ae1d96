/**
 * The write-ahead log as the engine sees it. Two media meet here: one immutable object per flush
 * (`object-log.ts`) and appended files (`file-log.ts`).
 */
import type { CorruptionError } from "../core/errors.ts";
import type { LogOperation } from "../core/operation.ts";
import { type IdFilter, isLegacyLog, type LanePlace } from "../format/paths.ts";
import type { Segment } from "../format/segment.ts";
import type { ByteRange, ListedObject, StorageBackend } from "../storage/backend.ts";
import type { Conditions } from "../storage/conditions.ts";
import type { ListedLanes } from "./claims.ts";

/**
 * Where segments lie that are listed, read and deleted as one, and what is known of them without
 * reading them: an object, with those that were flushed together, or a single one.
 */
export interface LogRef {
  /** Names them for good: nothing else ever has the same key. */
  readonly key: string;
  readonly path: string;
  /** The part that a single segment takes; undefined when it is the whole object. */
  readonly range: ByteRange | undefined;
  readonly lo: number;
  readonly hi: number;
  readonly filter: IdFilter;
  readonly bytes: number;
  /** It may lie behind its file's seal: then it goes with the file, and its owner repeats it. */
  readonly mayVanish?: boolean;
  /** It is a claim, at this place: `claims.ts` reads it, and its clocks say nothing. */
  readonly claim?: LanePlace;
  /** Where it was read already: a legacy log is read whole, at once. */
  readonly segments?: readonly Segment[];
}

/** The reference of a claim. */
export type ClaimRef = LogRef & { readonly claim: LanePlace };

export function isClaim(ref: LogRef): ref is ClaimRef {
  return ref.claim !== undefined;
}

export interface LogListing {
  readonly segments: readonly LogRef[];
  /** Claims and transactions; undefined where there are none. */
  readonly lanes?: ListedLanes | undefined;
  /** What cannot be read as a segment; left out of `segments`. */
  readonly corrupt: readonly CorruptionError[];
  /** A legacy log object that is not empty, when there is one. */
  readonly legacyLog?: string | undefined;
  /** When the objects or files that hold `segments` were last written, by path. */
  writtenMs(): ReadonlyMap<string, number>;
  /** Date of the first and of the last page, by the medium's clock. */
  readonly firstDateMs: number;
  readonly lastDateMs: number;
}

/** A part of a listing, as long as it is worked on: a long log is never held as a whole. */
export interface LogPage extends Pick<
  LogListing,
  "segments" | "lanes" | "corrupt" | "legacyLog" | "writtenMs"
> {
  readonly dateMs: number;
  /** It is known that no page follows. */
  readonly isLast: boolean;
}

export type SegmentRead =
  | { readonly status: "found"; readonly ref: LogRef; readonly segments: readonly Segment[] }
  /** Deleted since it was listed: the deleting compaction had published it. */
  | { readonly status: "gone"; readonly ref: LogRef }
  | { readonly status: "corrupt"; readonly ref: LogRef; readonly error: CorruptionError };

/** Segments that are deleted together once they are merged. */
export interface LogUnit {
  /** Deleted in this order. */
  readonly paths: readonly string[];
  readonly segments: readonly LogRef[];
  /** Part of it cannot be read: it is never deleted. */
  readonly corrupt: boolean;
}

/** A part of what a compaction may merge: what a page of the listing holds. */
export interface OfferedLog {
  readonly units: readonly LogUnit[];
  /** Live segments that this pass may not touch yet: no purge. */
  readonly leftOut: boolean;
  readonly corrupt: readonly CorruptionError[];
  /** By the medium's clock; of the first part, the date that the listing began. */
  readonly dateMs: number;
}

/**
 * The shards s of an object store with s % of = index. Files have no shards: the part with index 0 is
 * all of them, and the others are empty.
 */
export interface LogPart {
  readonly index: number;
  readonly of: number;
}

export interface Log {
  list(): Promise<LogListing>;
  /** The same page by page, at least one; may be left early. @param part default: the whole log */
  pages(part?: LogPart): AsyncGenerator<LogPage, void>;
  /**
   * Reads with bounded parallelism; results come in no order. Takes a segment from `refs` not long
   * before it is read; what was taken is also given.
   */
  read(refs: Iterable<LogRef>): AsyncIterable<SegmentRead>;
  createWriter(agentId: string): LogWriter;
  /**
   * Lists what a compaction may merge and then delete, part by part, each not long before it is
   * requested; seals what is still being appended to. At least one part; may be left early.
   * @param part default: the whole log
   */
  offer(part?: LogPart): AsyncGenerator<OfferedLog, void>;
  /** Deletes merged units (DELETE-AFTER-PUBLISH: only after a manifest that holds them). */
  deleteUnits(units: readonly LogUnit[]): Promise<void>;
}

/** One flush, before it has an identity. */
export interface SegmentDraft {
  readonly agent: string;
  readonly schemaVersion: number;
  readonly operations: readonly LogOperation[];
  /** The same operations as lines (`encodeOperation`). */
  readonly lines: readonly string[];
  /** Latest date of the medium at which its writing counts, after the view of its clocks (LATE). */
  readonly countsUntilMs: number;
}

export interface WrittenSegment {
  /** The `w` its operations' versions carry. */
  readonly writerNonce: string;
  /** Of this segment alone, also where others lie in the same object. */
  readonly ref: LogRef;
  /** Date of the response that made it durable (LATE). */
  readonly dateMs: number;
  /** The earliest of all segments that the floor takes or leaves together (LATE). */
  readonly countsUntilMs: number;
}

/** One writer's stream; the caller has one write in flight at a time. */
export interface LogWriter {
  /**
   * @throws UnavailableError, BudgetExceededError and NotSupportedError when nothing was written,
   *   WriteOutcomeUnknownError when it may have been
   */
  write(draft: SegmentDraft): Promise<WrittenSegment>;
  close(): Promise<void>;
}

export interface LogSettings {
  readonly writeTimeoutMs: number;
  /** What is known of the medium's preconditions. Default: nothing. */
  readonly conditions?: Conditions | undefined;
}

/** Whether this is a legacy log that is not empty. */
export function isFilledLegacyLog({ path, bytes }: ListedObject): boolean {
  return bytes > 0 && isLegacyLog(path);
}

/** Reads a segment by its place. */
export async function readSegmentBytes(
  backend: StorageBackend,
  { path, range }: Pick<LogRef, "path" | "range">,
): Promise<Uint8Array | undefined> {
  const result = await backend.get(path, { range });
  return result.status === "found" ? result.body : undefined;
}
