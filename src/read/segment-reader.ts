/** Reads segments of a view: those in memory are returned at once, the rest is read from the log. */
import type { CorruptionError } from "../core/errors.ts";
import type { Segment } from "../format/segment.ts";
import type { LogRef } from "../log/log.ts";
import type { Engine } from "../engine/engine.ts";
import { type ClaimRef, isClaim } from "../log/claims.ts";
import type { View } from "../view/view.ts";
import { type ClaimSources, readClaims, takenOnce } from "./claims.ts";

export interface SegmentReaderOptions {
  /** Segments that the caller has in memory beside the cache, by key. Default: none. */
  readonly held?: ((key: string) => readonly Segment[] | undefined) | undefined;
  /** Whether the cache keeps what is read, because such reads repeat. Default false. */
  readonly keeps?: boolean | undefined;
  /** Called with what cannot be read, which is left out. An error that it throws ends the read. */
  readonly onCorrupt: (error: CorruptionError) => void;
}

/** @param isIntent they are of a transaction, which was read for the view */
export type TakeSegments = (ref: LogRef, segments: readonly Segment[], isIntent?: boolean) => void;

/** What a segment reader needs of an engine. */
export type SegmentSources = ClaimSources & Pick<Engine, "log" | "segmentCache">;

export class SegmentReader {
  readonly #sources: SegmentSources;
  readonly #options: SegmentReaderOptions;

  readonly #view: View;

  /** @param view whose segments are read: it decides what is in force of claims */
  constructor(sources: SegmentSources, view: View, options: SegmentReaderOptions) {
    this.#sources = sources;
    this.#view = view;
    this.#options = options;
  }

  /** What memory holds of a ref: the ref itself, the caller, or the cache. No I/O. */
  held({ key, segments }: LogRef): readonly Segment[] | undefined {
    return segments ?? this.#options.held?.(key) ?? this.#sources.segmentCache.get(key);
  }

  /**
   * Calls `take` once for each ref that can be read, in no order; not for intents that are not decided.
   * @returns keys of those that were deleted since they were listed
   */
  async read(refs: Iterable<LogRef>, take: TakeSegments): Promise<ReadonlySet<string>> {
    const missing: LogRef[] = [];
    for (const ref of refs) {
      const held = this.held(ref);
      if (held === undefined) missing.push(ref);
      else take(ref, held);
    }
    const claims = missing.filter(isClaim);
    const rest = claims.length === 0 ? missing : missing.filter((ref) => !isClaim(ref));
    const gone = rest.length === 0 ? new Set<string>() : await this.#readLog(rest, take);
    if (claims.length === 0) return gone;
    return new Set([...gone, ...(await this.#readClaims(claims, take))]);
  }

  async #readClaims(refs: readonly ClaimRef[], take: TakeSegments): Promise<ReadonlySet<string>> {
    const { onCorrupt, keeps = false } = this.#options;
    const from = { sources: this.#sources, view: this.#view, onCorrupt };
    const { claims, gone } = await readClaims(from, refs);
    for (const { ref, claim, segments } of takenOnce(this.#view, claims)) {
      if (segments === undefined) continue;
      take(ref, segments, claim.kind === "intent");
      // What became of a transaction is known for one view.
      if (!keeps || claim.kind === "intent") continue;
      this.#sources.segmentCache.keep(ref.key, { value: segments, bytes: ref.bytes });
    }
    return gone;
  }

  async #readLog(
    refs: readonly LogRef[],
    take: (ref: LogRef, segments: readonly Segment[]) => void,
  ): Promise<ReadonlySet<string>> {
    const { log, segmentCache } = this.#sources;
    const { keeps = false, onCorrupt } = this.#options;
    const gone = new Set<string>();
    for await (const read of log.read(refs)) {
      if (read.status === "gone") gone.add(read.ref.key);
      if (read.status === "corrupt") onCorrupt(read.error);
      if (read.status !== "found") continue;
      const { ref, segments } = read;
      take(ref, segments);
      if (keeps) segmentCache.keep(ref.key, { value: segments, bytes: ref.bytes });
    }
    return gone;
  }
}
