/** Which claims of the lanes a compaction passes, and which objects of theirs are strays (K1 to K4). Pure. */
import { maxOf } from "../core/bulk.ts";
import type { Claim, Transaction } from "../format/claim.ts";
import { laneFloor, type Manifest } from "../format/manifest-codec.ts";
import { claimPath, type LanePlace } from "../format/paths.ts";
import type { ClaimRef } from "../log/claims.ts";

/** Claims of each lane that were read, without a gap above its floor. */
export type ReadLanes = ReadonlyMap<number, readonly Claim[]>;

/** What became of transactions, by their paths: those that are decided. */
export type Decisions = ReadonlyMap<string, Transaction>;

type Floors = Pick<Manifest, "lanes">;
type Listed = Pick<ClaimRef, "claim" | "path">;

/**
 * AT: a commit counts while none of its places is passed: with one that is, it was merged as a whole,
 * or it came after its abort was collected.
 */
export function isInForce(transaction: Transaction, floors: Floors): boolean {
  return transaction.kind === "commit" && transaction.at.every((at) => isLive(at, floors));
}

export function isLive({ lane, n }: LanePlace, floors: Floors): boolean {
  return n > laneFloor(floors, lane);
}

/**
 * DECIDED and CUT: the number that each lane passes up to. It ends before an intent that is not decided,
 * and before one of a commit of which another lane does not pass every place.
 */
export function endsOf(lanes: ReadLanes, decided: Decisions, floors: Floors): Map<number, number> {
  const ends = new Map<number, number>();
  for (const [lane, claims] of lanes) {
    const open = claims.find((claim) => claim.kind === "intent" && !decided.has(claim.txn));
    ends.set(lane, open === undefined ? laneFloor(floors, lane) + claims.length : open.n - 1);
  }
  const isPassed = ({ lane, n }: LanePlace): boolean =>
    n <= (ends.get(lane) ?? laneFloor(floors, lane));
  for (let isChanged = true; isChanged;) {
    isChanged = false;
    for (const [lane, claims] of lanes) {
      const cut = claims.find(
        (claim) =>
          isPassed(claim) && placesOf(claim, decided, floors).some((place) => !isPassed(place)),
      );
      if (cut === undefined) continue;
      ends.set(lane, cut.n - 1);
      isChanged = true;
    }
  }
  return ends;
}

/** Places of the commit that a claim is part of, and with which it takes effect. */
export function placesOf(claim: Claim, decided: Decisions, floors: Floors): readonly LanePlace[] {
  const transaction = claim.kind === "intent" ? decided.get(claim.txn) : undefined;
  if (transaction?.kind !== "commit" || !isInForce(transaction, floors)) return [];
  const isPart = transaction.at.some(({ lane, n }) => lane === claim.lane && n === claim.n);
  return isPart ? transaction.at : [];
}

/** The floors of the lanes once these are passed, as a manifest holds them. */
export function lanesAfter(ends: ReadonlyMap<number, number>, floors: Floors): number[] {
  const { lanes = [] } = floors;
  const count = maxOf([lanes.length, ...[...ends.keys()].map((lane) => lane + 1)]);
  const after = Array.from({ length: count }, (_, lane) => ends.get(lane) ?? lanes[lane] ?? 0);
  return after.slice(0, after.findLastIndex((n) => n > 0) + 1);
}

export function isSameLanes(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, lane) => n === b[lane]);
}

/** By lane, the highest number that is listed and live. */
export function heightsOf(listed: readonly Listed[], floors: Floors): Map<number, number> {
  const heights = new Map<number, number>();
  for (const { claim } of liveClaims(floors, listed)) {
    heights.set(claim.lane, Math.max(claim.n, heights.get(claim.lane) ?? 0));
  }
  return heights;
}

export function liveClaims<T extends Listed>(floors: Floors, listed: readonly T[]): T[] {
  return listed.filter(({ claim }) => isLive(claim, floors));
}

/** K4: at or below the floor of their lanes. @param floors of a manifest read after the listing */
export function strayClaims(floors: Floors, listed: readonly Listed[]): string[] {
  return listed.flatMap(({ claim, path }) => (isLive(claim, floors) ? [] : [path]));
}

/** Paths of the claims between the floors and the ends. */
export function passedPaths(ends: ReadonlyMap<number, number>, floors: Floors): string[] {
  return [...ends].flatMap(([lane, end]) => {
    const first = laneFloor(floors, lane) + 1;
    return Array.from({ length: end - first + 1 }, (_, at) => claimPath({ lane, n: first + at }));
  });
}
