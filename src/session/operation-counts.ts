/** Operations of live segments, as far as they were read or written here. Pure. */
import type { Segment } from "../format/segment-codec.ts";
import type { SegmentRef } from "../log/log.ts";

export class OperationCounts {
  #bySegment = new Map<string, number>();
  /** Their sum: every write reads it. */
  #total = 0;

  get total(): number {
    return this.#total;
  }

  add(key: string, count: number): void {
    this.#bySegment.set(key, count);
    this.#total += count;
  }

  /**
   * Forgets all other segments.
   * @param ownParts of them: parts of objects, which count with the whole object where that was read
   */
  retain(
    keys: Iterable<string>,
    read: ReadonlyMap<string, readonly Segment[]>,
    ownParts: readonly SegmentRef[],
  ): void {
    const counts = new Map<string, number>();
    for (const key of keys) {
      const count = countOperations(read.get(key)) ?? this.#bySegment.get(key);
      if (count !== undefined) counts.set(key, count);
    }
    for (const { key, path } of ownParts) if (counts.has(path)) counts.delete(key);
    this.#bySegment = counts;
    this.#total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  }
}

function countOperations(segments: readonly Segment[] | undefined): number | undefined {
  return segments?.reduce((sum, { operations }) => sum + operations.length, 0);
}
