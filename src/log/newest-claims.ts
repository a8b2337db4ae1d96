/** What is known of the newest claim of each lane, from which the next one's `recent` is made (PROTOCOL, R4). */
import { type Claim, namesOf, type Recent } from "../format/claim.ts";
import { filterHash, type LanePlace } from "../format/paths.ts";

/** How many claims before it a claim tells of, and how many records they may name. */
const CLAIMS_MAX = 64;
const IDS_MAX = 256;

interface Known {
  readonly n: number;
  /** As the next claim tells it. */
  readonly recent: Recent;
}

/** Of one open store: numbers begin anew where a store is deleted and created again. */
export class NewestClaims {
  readonly #lanes = new Map<number, Known>();

  /** Takes in a claim that was read, or written. */
  note(claim: Claim): void {
    const { lane, n, recent } = claim;
    if ((this.#lanes.get(lane)?.n ?? 0) >= n) return;
    this.#lanes.set(lane, { n, recent: followed(claim, recent) });
  }

  /** For the claim with this number; it begins anew where the claim before it is not known. */
  before({ lane, n }: LanePlace): Recent {
    const known = this.#lanes.get(lane);
    return known?.n === n - 1 ? known.recent : { from: n, ids: new Map() };
  }
}

/** What the claim after this one tells. */
function followed(claim: Claim, { from, ids }: Recent): Recent {
  const { n } = claim;
  const next = new Map(ids);
  for (const id of namesOf(claim)) next.set(filterHash(id), n);
  const numbers = [...next.values()].toSorted((a, b) => b - a);
  // Of equal numbers all are left out, or none: what `from` covers is told in full.
  const beyond = numbers[IDS_MAX] ?? 0;
  const first = Math.max(from, n + 1 - CLAIMS_MAX, beyond + 1);
  return { from: first, ids: new Map([...next].filter(([, number]) => number >= first)) };
}
