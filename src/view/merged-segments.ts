/**
 * Which listed segments are in the runs already and only wait for their deletion. The manifest
 * names lists of them, with a digest of each, so that a listing is usually sorted out without them.
 */
import { hash } from "node:crypto";
import type { Manifest, SegmentSummary } from "../format/manifest-codec.ts";
import type { SegmentRef } from "../log/log.ts";

export interface SortedListing {
  readonly live: readonly SegmentRef[];
  /** Keys of segments that are in the runs. */
  readonly published: readonly string[];
  /** Lists that show which of `live` are in the runs after all; none when that is known. */
  readonly unread: readonly string[];
}

/** What the manifest keeps of a list. @param refs at least one */
export function summarize(refs: readonly Pick<SegmentRef, "path" | "hi">[]): SegmentSummary {
  const hi = refs.reduce((max, ref) => Math.max(max, ref.hi), 0);
  return { count: refs.length, hi, digest: digestOf(refs.map(({ path }) => path)) };
}

/**
 * All segments that any list names have `hi` up to the lists' highest. When those of a listing are
 * as many and have the same digest, they are exactly these. Otherwise (a late segment with a low
 * clock, a deletion under way) all of them count as live until the lists are read.
 */
export function sortListing(manifest: Manifest, segments: readonly SegmentRef[]): SortedListing {
  const lists = segmentLists(manifest);
  const highest = lists.reduce((max, { segments: { hi } }) => Math.max(max, hi), 0);
  // A segment that was read with its listing belongs to a store of the original: in no list.
  const isCandidate = ({ hi, segments: read }: SegmentRef): boolean =>
    read === undefined && hi <= highest;
  const candidates = lists.length === 0 ? [] : segments.filter(isCandidate);
  if (candidates.length === 0) return { live: segments, published: [], unread: [] };
  const count = lists.reduce((sum, list) => sum + list.segments.count, 0);
  const digest = lists.map((list) => list.segments.digest).reduce(xorHex);
  // A store's own part of an object stands for the object.
  const paths = [...new Set(candidates.map(({ path }) => path))];
  if (paths.length === count && digestOf(paths) === digest) {
    const live = segments.filter((ref) => !isCandidate(ref));
    return { live, published: paths, unread: [] };
  }
  return { live: segments, published: [], unread: lists.map(({ path }) => path) };
}

/** Lists of segments that are in the runs of this manifest. */
export function segmentLists({
  retired,
}: Manifest): { readonly path: string; readonly segments: SegmentSummary }[] {
  return retired.flatMap(({ path, segments }) =>
    segments === undefined ? [] : [{ path, segments }],
  );
}

/** XOR of the first 64 bits of each key's SHA-256: whatever the order, and of several lists at once. */
function digestOf(paths: readonly string[]): string {
  let [high, low] = [0, 0];
  for (const path of paths) {
    const bytes = hash("sha256", path, "buffer");
    high ^= bytes.readInt32BE(0);
    low ^= bytes.readInt32BE(4);
  }
  return toHex(high) + toHex(low);
}

function xorHex(a: string, b: string): string {
  const part = (from: number): string =>
    toHex(
      Number.parseInt(a.slice(from, from + 8), 16) ^ Number.parseInt(b.slice(from, from + 8), 16),
    );
  return part(0) + part(8);
}

function toHex(bits: number): string {
  return (bits >>> 0).toString(16).padStart(8, "0");
}
