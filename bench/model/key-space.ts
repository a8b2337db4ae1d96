/**
 * Ids of the model: evenly spread over [0, 1), so that a span of ids stands for a share of a store.
 * Bytes are densities over this space. Pure.
 */
const DIGITS = 12;
const GRID = 16 ** DIGITS;
/** Makes ids as long as a UUID, which the manifest's size depends on. */
const REST = "-4000-8000-000000000000";

/** The lowest step between two ids. */
export const STEP = 1 / GRID;

export function idOf(share: number): string {
  const at = Math.min(GRID - 1, Math.max(0, Math.round(share * GRID)));
  return `${at.toString(16).padStart(DIGITS, "0")}${REST}`;
}

/** @param id as `idOf` made it, also with the lowest character behind it, or what such an id begins with */
export function shareOf(id: string): number {
  if (id === "") return 0;
  const digits = id.slice(0, DIGITS).padEnd(DIGITS, "0");
  return Number.parseInt(digits, 16) / GRID + (id.endsWith("\0") ? STEP : 0);
}

/** Where a span of ids ends. */
export function endOf(to: string | undefined): number {
  return to === undefined ? 1 : shareOf(to);
}

/** Bytes that lie evenly in [from, to). */
export interface Extent {
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

export interface MergeLimits {
  readonly from: number;
  readonly to: number;
  /** Of what is read, and of what is written: the merge ends where either reaches it. */
  readonly bytesMax: number;
}

export interface Merged {
  /** Where the merge ended; 1: at the end. */
  readonly to: number;
  readonly extents: readonly Extent[];
  readonly readBytes: number;
  readonly writtenBytes: number;
}

/**
 * Merges sources, of which each lies apart from the others of its level.
 * @param capacityBytes of a store whose records are only updated, in the whole space: two sources hold
 *   the same id by chance. Infinity: every write has an id of its own
 */
export function mergeExtents(
  sources: readonly Extent[],
  { from, to, bytesMax }: MergeLimits,
  capacityBytes: number,
): Merged {
  const held = sources
    .filter((source) => source.to > from && source.from < to)
    .toSorted((a, b) => a.from - b.from);
  const edges = [from, to, ...held.flatMap((source) => [source.from, source.to])];
  const bounds = [...new Set(edges)].filter((edge) => edge >= from && edge <= to);
  bounds.sort((a, b) => a - b);
  const extents: Extent[] = [];
  let active: Extent[] = [];
  let [next, readBytes, writtenBytes] = [0, 0, 0];
  for (const [at, left] of bounds.slice(0, -1).entries()) {
    active = active.filter((source) => source.to > left);
    for (
      let source = held[next];
      source !== undefined && source.from <= left;
      source = held[++next]
    )
      if (source.to > left) active.push(source);
    const densities = active.map((source) => source.bytes / (source.to - source.from));
    const read = densities.reduce((sum, density) => sum + density, 0);
    if (read === 0) continue;
    const right = bounds[at + 1] ?? to;
    const room = (bytesMax - Math.max(readBytes, writtenBytes)) / read;
    const isLast = room < right - left;
    // At least one id, for progress.
    const end = isLast ? Math.min(right, Math.max(snap(left + room), left + STEP)) : right;
    const bytes = unite(densities, read, capacityBytes) * (end - left);
    extents.push({ from: left, to: end, bytes });
    readBytes += read * (end - left);
    writtenBytes += bytes;
    if (isLast && end < to) return { to: end, extents, readBytes, writtenBytes };
  }
  return { to, extents, readBytes, writtenBytes };
}

function unite(densities: readonly number[], sum: number, capacity: number): number {
  if (capacity === Infinity) return sum;
  return capacity * (1 - densities.reduce((left, each) => left * (1 - each / capacity), 1));
}

function snap(share: number): number {
  return Math.round(share * GRID) / GRID;
}

/** Cuts what lies in ascending order into extents of about so many bytes. */
export function cutExtents(extents: readonly Extent[], bytesMax: number): Extent[] {
  const cut: Extent[] = [];
  let open: Extent | undefined;
  const rest = extents.toReversed();
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    const [first, second] = split(next, bytesMax - (open?.bytes ?? 0));
    if (second !== undefined) rest.push(second);
    open = {
      from: open?.from ?? first.from,
      to: first.to,
      bytes: (open?.bytes ?? 0) + first.bytes,
    };
    if (second === undefined && open.bytes < bytesMax) continue;
    cut.push(open);
    open = undefined;
  }
  return open === undefined ? cut : [...cut, open];
}

/** @returns about so many bytes, and the rest if there is any */
function split(extent: Extent, bytes: number): readonly [Extent, Extent?] {
  const { from, to } = extent;
  const middle = snap(from + (to - from) * (bytes / extent.bytes));
  if (middle <= from || middle >= to) return [extent];
  const first = (extent.bytes * (middle - from)) / (to - from);
  return [
    { from, to: middle, bytes: first },
    { from: middle, to, bytes: extent.bytes - first },
  ];
}

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
