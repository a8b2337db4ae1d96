/** What is known of the newest claim of each lane, from which the next one's `recent` is made (PROTOCOL, R4). */
import type { Claim, Recent } from "../format/claim.ts";
import { filterHash, type LanePlace } from "../format/paths.ts";

/** How many claims before it a claim tells of, and how many records they may name. */
const CLAIMS_MAX = 64;
const IDS_MAX = 256;

type ClaimHead = Pick<Claim, "lane" | "n" | "recent">;

interface Known {
  readonly n: number;
  /** As the next claim tells it. */
  readonly recent: Recent;
}

/** Of one open store: numbers begin anew where a store is deleted and created again. */
export class NewestClaims {
  readonly #lanes = new Map<number, Known>();

  /** Takes in a claim that was read, or written. @param names ids that it reads or writes */
  note({ lane, n, recent }: ClaimHead, names: Iterable<string>): void {
    if ((this.#lanes.get(lane)?.n ?? 0) >= n) return;
    this.#lanes.set(lane, { n, recent: followed(n, recent, names) });
  }

  /** For the claim with this number; it begins anew where the claim before it is not known. */
  before({ lane, n }: LanePlace): Recent {
    const known = this.#lanes.get(lane);
    return known?.n === n - 1 ? known.recent : { from: n, ids: new Map() };
  }
}

/** What the claim after this one tells. */
function followed(n: number, { from, ids }: Recent, names: Iterable<string>): Recent {
  const next = new Map(ids);
  for (const id of names) next.set(filterHash(id), n);
  const numbers = [...next.values()].toSorted((a, b) => b - a);
  // Of equal numbers all are left out, or none: what `from` covers is told in full.
  const beyond = numbers[IDS_MAX] ?? 0;
  const first = Math.max(from, n + 1 - CLAIMS_MAX, beyond + 1);
  return { from: first, ids: new Map([...next].filter(([, number]) => number >= first)) };
}
