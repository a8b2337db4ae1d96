/**
 * What a store's memory stands for: the segments it wrote since its view was listed, the runs and
 * segments that were merged into memory, and how many operations the live log holds. Pure.
 */
import type { Replaced } from "../compaction/report.ts";
import type { Segment } from "../format/segment.ts";
import type { SegmentRef } from "../log/log.ts";
import type { View } from "../view/view.ts";

export class LogLedger {
  /** Written here since the view's listing. */
  #ownSegments: SegmentRef[] = [];
  /** Of these, and of earlier ones: parts of objects that others' segments share, while they live. */
  #ownParts: SegmentRef[] = [];
  /** Runs by path and segments by key that the resident records stand for. */
  #merged = new Set<string>();
  /** Of the original's store that they were loaded from, until its upgrade is recorded. */
  #baseFingerprint: string | undefined;
  #countsBySegment = new Map<string, number>();
  /** The sum of the counts: every write reads it. */
  #operationCount = 0;

  constructor(view: View) {
    this.#baseFingerprint = view.original?.fingerprint;
  }

  get merged(): ReadonlySet<string> {
    return this.#merged;
  }

  get baseFingerprint(): string | undefined {
    return this.#baseFingerprint;
  }

  /** Operations in the log, not yet compacted, as far as this store has read or written them. */
  get operationCount(): number {
    return this.#operationCount;
  }

  /** The view with what was written here since. */
  withOwn(view: View): View {
    return { ...view, segments: [...view.segments, ...this.#ownSegments] };
  }

  /** A flush of this store is durable now. */
  add(ref: SegmentRef, operations: number): void {
    this.#ownSegments.push(ref);
    if (ref.key !== ref.path) this.#ownParts.push(ref);
    this.#merged.add(ref.key);
    this.#countsBySegment.set(ref.key, operations);
    this.#operationCount += operations;
  }

  /**
   * Memory stands for a newer view now.
   * @param read segments that were read for it, by key
   * @param hasAll memory holds every record of the view
   * @returns keys of the live segments: those of the view, and own parts of its objects
   */
  install(
    view: View,
    read: ReadonlyMap<string, readonly Segment[]>,
    hasAll: boolean,
  ): ReadonlySet<string> {
    this.#baseFingerprint = view.original?.fingerprint;
    this.#ownSegments = [];
    this.#merged = mergedNames(view);
    const listed = new Set(view.segments.map(({ key }) => key));
    const isListed = ({ key, path }: SegmentRef): boolean => listed.has(key) || listed.has(path);
    this.#ownParts = this.#ownParts.filter((part) => !hasAll && isListed(part));
    // A lazy store's history is what it wrote itself, as in the original.
    const live = new Set([...listed, ...this.#ownParts.map(({ key }) => key)]);
    this.#countAnew(live, read);
    return live;
  }

  /** A compaction made `runs` out of `sources`: memory that stands for all of them stands for those. */
  recordCompaction({ runs, sources }: Replaced): void {
    if (!sources.every((source) => this.#merged.has(source))) return;
    for (const run of runs) this.#merged.add(run);
    const base = this.#baseFingerprint;
    if (base !== undefined && sources.includes(base)) this.#baseFingerprint = undefined;
  }

  #countAnew(live: Iterable<string>, read: ReadonlyMap<string, readonly Segment[]>): void {
    const counts = new Map<string, number>();
    for (const key of live) {
      const count = countOperations(read.get(key)) ?? this.#countsBySegment.get(key);
      if (count !== undefined) counts.set(key, count);
    }
    // A part counts with its whole object where that was read.
    for (const { key, path } of this.#ownParts) if (counts.has(path)) counts.delete(key);
    this.#countsBySegment = counts;
    this.#operationCount = [...counts.values()].reduce((sum, count) => sum + count, 0);
  }
}

/** Runs by path and segments by key that what was gathered of a view stands for. */
export function mergedNames({ loaded: { manifest }, segments, original }: View): Set<string> {
  return new Set([
    ...manifest.runs.map(({ path }) => path),
    ...segments.map(({ key }) => key),
    ...(original === undefined ? [] : [original.fingerprint]),
  ]);
}

function countOperations(segments: readonly Segment[] | undefined): number | undefined {
  return segments?.reduce((sum, { operations }) => sum + operations.length, 0);
}
