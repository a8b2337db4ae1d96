/**
 * Reads the claims of a view: data is in force by being there, an intent by its transaction (R3). What
 * was read too late is compared with the manifest once more (WINDOW).
 */
import type { CorruptionError } from "../core/errors.ts";
import { maxOf } from "../core/bulk.ts";
import { laneOf } from "../core/lane.ts";
import { mapParallel } from "../core/parallel.ts";
import { guardWindowMs } from "../core/settings.ts";
import { type Claim, namesOf, segmentsOf, type Transaction } from "../format/claim.ts";
import { laneFloor, type Manifest } from "../format/manifest-codec.ts";
import { claimPath, filterHash, type LanePlace } from "../format/paths.ts";
import type { Segment } from "../format/segment.ts";
import { type ClaimRef, readClaim, readTransaction } from "../log/claims.ts";
import type { Engine } from "../engine/engine.ts";
import type { OpenIntent, View } from "../view/view.ts";

/** What a reader of claims needs of an engine. */
export type ClaimSources = Pick<Engine, "backend" | "manifests" | "newestClaims">;

const READS_PARALLEL = 32;

/** A claim as it counts in a view. */
export interface CountedClaim {
  readonly ref: ClaimRef;
  readonly claim: Claim;
  /** Places of the transaction that an intent names, if that is a commit. */
  readonly at: readonly LanePlace[];
  /** What is in force of it; undefined: nothing is decided yet. */
  readonly segments: readonly Segment[] | undefined;
}

export interface ClaimsRead {
  readonly claims: readonly CountedClaim[];
  /** Keys of those that are not there any more, or that the current manifest leaves out (V4). */
  readonly gone: ReadonlySet<string>;
}

/** What a read has found so far. */
interface Found {
  readonly claims: CountedClaim[];
  readonly gone: Set<string>;
  /** Dates of the answers. */
  readonly dates: number[];
  readonly onCorrupt: (error: CorruptionError) => void;
}

/** @throws FormatVersionError, and what `onCorrupt` and the backend throw */
export async function readClaims(
  { sources, view, onCorrupt }: Omit<RecentClaims, "refs" | "wanted">,
  refs: readonly ClaimRef[],
): Promise<ClaimsRead> {
  const found: Found = { claims: [], gone: new Set(), dates: [], onCorrupt };
  await mapParallel(refs, READS_PARALLEL, (ref) => readOne(sources, view, ref, found));
  const claims = await withinWindow(sources, view, found);
  for (const { claim } of claims) sources.newestClaims.note(claim, namesOf(claim));
  return { claims, gone: found.gone };
}

async function readOne(
  { backend }: ClaimSources,
  view: View,
  ref: ClaimRef,
  found: Found,
): Promise<void> {
  const read = await readClaim(backend, ref);
  found.dates.push(read.dateMs);
  if (read.status === "absent") found.gone.add(ref.key);
  if (read.status === "corrupt") found.onCorrupt(read.error);
  if (read.status !== "found") return;
  const claim = read.value;
  if (claim.kind !== "intent") {
    const segments = claim.kind === "data" ? segmentsOf(claim.operations) : [];
    found.claims.push({ ref, claim, at: [], segments });
    return;
  }
  const ageMs = read.dateMs - read.lastModifiedMs;
  await readIntent(backend, view, { ref, claim, ageMs }, found);
}

/** R3: the transaction is read once for all readers of a view. */
async function readIntent(
  backend: ClaimSources["backend"],
  { loaded: { manifest }, decisions }: View,
  { ref, claim, ageMs }: OpenIntent & { readonly ref: ClaimRef },
  found: Found,
): Promise<void> {
  const { txn } = claim;
  const reading = decisions.found.get(txn) ?? readTransaction(backend, txn);
  decisions.found.set(txn, reading);
  const read = await reading.catch((error: unknown) => {
    decisions.found.delete(txn);
    throw error;
  });
  found.dates.push(read.dateMs);
  if (read.status === "corrupt") {
    found.onCorrupt(read.error);
    return;
  }
  if (read.status === "absent") {
    decisions.undecided.set(ref.key, { claim, ageMs });
    found.claims.push({ ref, claim, at: [], segments: undefined });
    return;
  }
  const { value } = read;
  const at = value.kind === "commit" ? value.at : [];
  found.claims.push({ ref, claim, at, segments: inForce(value, manifest) });
}

/** AT: a commit counts while none of its places is passed, and then all of it. */
function inForce(transaction: Transaction, manifest: Manifest): Segment[] {
  const { kind } = transaction;
  if (kind === "abort" || transaction.at.some((place) => isPassed(manifest, place))) return [];
  return segmentsOf(transaction.operations);
}

function isPassed(manifest: Manifest, { lane, n }: LanePlace): boolean {
  return n <= laneFloor(manifest, lane);
}

/**
 * WINDOW: a name means what the view says for a time. Later what lies there may be of another write, so
 * the number must be above the floor of its lane still; of a commit, all places.
 */
async function withinWindow(
  { manifests }: ClaimSources,
  { loaded }: View,
  { claims, gone, dates }: Found,
): Promise<readonly CountedClaim[]> {
  const windowMs = guardWindowMs(loaded.manifest);
  if (dates.every((ms) => Math.abs(ms - loaded.dateMs) <= windowMs)) return claims;
  const { manifest } = await manifests.load(loaded);
  return claims.flatMap((one) => {
    if (isPassed(manifest, one.ref.claim)) {
      gone.add(one.ref.key);
      return [];
    }
    const isCut = one.at.some((place) => isPassed(manifest, place));
    return [isCut ? { ...one, segments: [] } : one];
  });
}

/**
 * Leaves each transaction with one of its intents, so that whoever takes all claims of a view takes its
 * operations once: with the first place that the view has.
 */
export function takenOnce(
  { segments: refs }: View,
  claims: readonly CountedClaim[],
): readonly CountedClaim[] {
  if (claims.every(({ at }) => at.length === 0)) return claims;
  const listed = new Set(refs.map(({ key }) => key));
  return claims.map((one) => {
    const carrier = one.at.map(claimPath).find((key) => listed.has(key));
    const isCarried = carrier !== undefined && carrier !== one.ref.key;
    return isCarried ? { ...one, segments: [] } : one;
  });
}

/** What a lookup takes of claims. */
export interface RecentClaims {
  readonly sources: ClaimSources;
  readonly view: View;
  /** Claims of the view that memory has not merged. */
  readonly refs: readonly ClaimRef[];
  readonly wanted: Iterable<string>;
  readonly onCorrupt: (error: CorruptionError) => void;
}

/**
 * R4: for each id the newest claim of its lane that writes it, and those that it takes to find it: a
 * claim names the claims before it that name an id.
 */
export async function readRecentClaims({
  wanted,
  refs,
  ...from
}: RecentClaims): Promise<ClaimsRead> {
  const lanes = new Map<number, Map<number, ClaimRef>>();
  for (const ref of refs) {
    const { lane, n } = ref.claim;
    const others = lanes.get(lane);
    if (others === undefined) lanes.set(lane, new Map([[n, ref]]));
    else others.set(n, ref);
  }
  const searches: Search[] = [];
  for (const id of wanted) {
    const lane = lanes.get(laneOf(id));
    if (lane !== undefined)
      searches.push({ id, hash: filterHash(id), lane, n: maxOf(lane.keys()) });
  }
  const read = new Map<string, CountedClaim | undefined>();
  const gone = new Set<string>();
  for (let open = searches; open.length > 0; open = open.filter((one) => advance(one, read))) {
    const next = new Map(
      open.flatMap(({ lane, n }) => lane.get(n) ?? []).map((ref) => [ref.key, ref]),
    );
    for (const key of read.keys()) next.delete(key);
    const { claims, gone: missing } = await readClaims(from, [...next.values()]);
    for (const key of next.keys()) read.set(key, undefined);
    for (const one of claims) read.set(one.ref.key, one);
    for (const key of missing) gone.add(key);
  }
  return { claims: [...read.values()].filter((one) => one !== undefined), gone };
}

/** For one id, the number of its lane to be looked at next. */
interface Search {
  readonly id: string;
  readonly hash: string;
  readonly lane: ReadonlyMap<number, ClaimRef>;
  n: number;
}

/** @returns whether there is another claim to be looked at */
function advance(search: Search, read: ReadonlyMap<string, CountedClaim | undefined>): boolean {
  const { id, hash, lane, n } = search;
  const one = read.get(lane.get(n)?.key ?? "");
  // Where it cannot be read, nothing shows what the claims before it are.
  if (one === undefined) search.n = n - 1;
  else if (
    one.segments?.some(({ operations }) => operations.some((each) => each.id === id)) === true
  )
    return false;
  else {
    const { from, ids } = one.claim.recent;
    search.n = ids.get(hash) ?? from - 1;
  }
  // Own claims may lie between, which memory has merged, and not those of others below them (G6), or an
  // undecided intent.
  if (!lane.has(search.n))
    search.n = maxOf(
      [...lane.keys()].filter((other) => other < search.n),
      0,
    );
  return lane.has(search.n);
}
