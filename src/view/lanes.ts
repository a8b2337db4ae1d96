/** The claims of a view (R1): those of a listing that count under a manifest, and those that must be there. */
import { CorruptionError } from "../core/errors.ts";
import { laneFloor, type Manifest } from "../format/manifest-codec.ts";
import { type ClaimRef, claimRef } from "../log/claims.ts";

export interface LiveClaims {
  /** By lane and number: above the floor of their lanes, without gaps. */
  readonly claims: readonly ClaimRef[];
  readonly corrupt: readonly CorruptionError[];
}

/** Pages of a listing are not of one moment, but these are more than come between two. */
const GAP_MAX = 10_000;

/**
 * @param listed in any order
 * @param gone paths of claims that turned out not to be there
 */
export function liveClaims(
  manifest: Pick<Manifest, "lanes">,
  listed: readonly ClaimRef[],
  gone: ReadonlySet<string>,
): LiveClaims {
  const lanes = new Map<number, ClaimRef[]>();
  for (const ref of listed) {
    const { lane, n } = ref.claim;
    if (n <= laneFloor(manifest, lane)) continue;
    const others = lanes.get(lane);
    if (others === undefined) lanes.set(lane, [ref]);
    else others.push(ref);
  }
  const claims: ClaimRef[] = [];
  const corrupt: CorruptionError[] = [];
  for (const [lane, refs] of [...lanes].toSorted(([a], [b]) => a - b)) {
    let n = laneFloor(manifest, lane);
    for (const ref of refs.toSorted((a, b) => a.claim.n - b.claim.n)) {
      if (ref.claim.n - n > GAP_MAX) {
        corrupt.push(lost(ref.path, `${ref.claim.n - n - 1} numbers before it are not there`));
        n = ref.claim.n - 1;
      }
      for (n++; n <= ref.claim.n; n++) {
        const one = n === ref.claim.n ? ref : claimRef({ lane, n });
        if (gone.has(one.path)) corrupt.push(lost(one.path, "it is not there, but later ones are"));
        else claims.push(one);
      }
      n = ref.claim.n;
    }
  }
  return { claims, corrupt };
}

function lost(path: string, what: string): CorruptionError {
  return new CorruptionError(`${path}, which no snapshot holds: ${what}`, { path });
}
