/**
 * Which listed segments are live (V3). Some are in the runs already and only wait for their
 * deletion: the manifest names lists of them, with a digest of each, so that a listing is usually
 * sorted out without reading the lists. Pure.
 */
import { digestWords } from "../core/hash.ts";
import type { NameList } from "../core/name-list.ts";
import type { Manifest, SegmentSummary } from "../format/manifest-codec.ts";
import type { LogRef } from "../log/log.ts";

/**
 * What a listed segment is under a manifest. "merged": the runs hold it. "ignored": it begins at or
 * below the purge floor and counts for nobody (FLOOR); the next compaction deletes it.
 */
export type Standing = "live" | "merged" | "ignored";

/** @param merged paths that lists name (`namesIn`), or that are known to be those */
export function standingOf(
  ref: Pick<LogRef, "path" | "lo">,
  manifest: Pick<Manifest, "purgeFloor">,
  merged: Pick<ReadonlySet<string>, "has">,
): Standing {
  // A store's own part of an object stands for the object. Log files are in no list.
  if (merged.has(ref.path)) return "merged";
  return isIgnored(ref, manifest) ? "ignored" : "live";
}

/** FLOOR: whole segments are ignored, by their lowest clock. */
export function isIgnored(
  { lo }: Pick<LogRef, "lo">,
  { purgeFloor }: Pick<Manifest, "purgeFloor">,
): boolean {
  return lo <= purgeFloor;
}

export interface SortedListing {
  readonly live: readonly LogRef[];
  /** Below the purge floor. */
  readonly ignored: readonly LogRef[];
  /** Paths of segments that are in the runs. */
  readonly published: readonly string[];
  /** Lists that show which of `live` and `ignored` are in the runs after all; none if it is known. */
  readonly unread: readonly string[];
}

/** What the manifest keeps of a list. @param refs at least one */
export function summarize(refs: readonly Pick<LogRef, "path" | "hi">[]): SegmentSummary {
  const hi = refs.reduce((max, ref) => Math.max(max, ref.hi), 0);
  return { count: refs.length, hi, digest: digestOf(refs.map(({ path }) => path)) };
}

/**
 * Sorts a listing out.
 * @param names what the manifest's lists name, where they were read
 */
export function sortListing(
  manifest: Manifest,
  segments: readonly LogRef[],
  names: ReadonlySet<string> | undefined = namesWithoutLists(manifest, segments),
): SortedListing {
  const merged = names ?? new Set();
  const of: Record<Standing, LogRef[]> = { live: [], ignored: [], merged: [] };
  for (const ref of segments) of[standingOf(ref, manifest, merged)].push(ref);
  return {
    live: of.live,
    ignored: of.ignored,
    published: [...new Set(of.merged.map(({ path }) => path))],
    unread: names === undefined ? segmentLists(manifest).map(({ path }) => path) : [],
  };
}

/**
 * All segments that any list names have `hi` up to the lists' highest. When those of a listing are
 * as many and have the same digest, they are exactly these.
 * @returns undefined in all other cases (a late segment with a low clock, a deletion under way):
 *   then all of them count as not merged until the lists are read
 */
function namesWithoutLists(
  manifest: Manifest,
  segments: readonly LogRef[],
): ReadonlySet<string> | undefined {
  const named = summaryOfLists(manifest);
  if (named === undefined) return new Set();
  const { count, digest } = named;
  // A segment that was read with its listing belongs to a legacy store: in no list.
  const candidates = segments.filter(
    ({ hi, segments: read }) => read === undefined && hi <= named.hi,
  );
  if (candidates.length === 0) return new Set();
  const paths = new Set(candidates.map(({ path }) => path));
  return paths.size === count && digestOf(paths) === digest ? paths : undefined;
}

/** @param lists what each list names, by the path of the list */
export function namesIn(lists: ReadonlyMap<string, NameList>): Set<string> {
  return new Set([...lists.values()].flatMap((list) => list.names()));
}

/** Lists of segments that are in the runs of this manifest. */
export function segmentLists({
  retired,
}: Manifest): { readonly path: string; readonly segments: SegmentSummary }[] {
  return retired.flatMap(({ path, segments }) =>
    segments === undefined ? [] : [{ path, segments }],
  );
}

/** Paths of lists of claims and transactions that were passed. */
export function claimLists({ retired }: Manifest): string[] {
  return retired.flatMap(({ path, claims }) => (claims === true ? [path] : []));
}

/** XOR of the first 64 bits of each key's SHA-256: whatever the order, and of several lists at once. */
function digestOf(paths: Iterable<string>): string {
  let [high, low] = [0, 0];
  for (const path of paths) {
    const [first, second] = digestWords(path);
    high ^= first;
    low ^= second;
  }
  return toDigest(high, low);
}

/** @param high XOR of the first words, @param low of the second ones */
export function toDigest(high: number, low: number): string {
  return toHex(high) + toHex(low);
}

/** What the manifest's lists name together; undefined: there are none. */
export function summaryOfLists(manifest: Manifest): SegmentSummary | undefined {
  const summaries = segmentLists(manifest).map(({ segments }) => segments);
  if (summaries.length === 0) return undefined;
  return summaries.reduce((sum, { count, hi, digest }) => ({
    count: sum.count + count,
    hi: Math.max(sum.hi, hi),
    digest: xorHex(sum.digest, digest),
  }));
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
