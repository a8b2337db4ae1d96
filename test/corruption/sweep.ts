/** One flipped bit in each byte of each object, the bit chosen by seed. */
import { Prng } from "../simulation/prng.ts";
import { repeat } from "../support/effort.ts";
import type { MakePlace } from "./image.ts";
import type { Damage, Judge } from "./judge.ts";
import type { Specimen } from "./specimen.ts";

const { CORRUPTION_SEED, CORRUPTION_ALL } = process.env;
/** With quick effort a sweep reaches one in so many of the bytes, and the last of each object. */
const SPARSER = repeat({ quick: 16, full: 1 });
const SEED = CORRUPTION_SEED ?? "corruption-1";

export interface Sweep {
  readonly make: MakePlace;
  readonly specimen: Specimen;
  readonly judge: Judge;
  /** Objects to damage. */
  readonly isDamaged: (path: string) => boolean;
  /** Of these, the bytes to damage. Default: all. */
  readonly isWithin?: (path: string, offset: number) => boolean;
  /** Every how many bytes with full effort; 1 with CORRUPTION_ALL=1 in the environment. */
  readonly stride: number;
}

/** The faults found; to be expected empty. */
export async function sweep({
  make,
  specimen,
  judge,
  isDamaged,
  isWithin = () => true,
  stride,
}: Sweep): Promise<string[]> {
  const faults: string[] = [];
  let count = 0;
  for (const [path, { length }] of specimen.image) {
    if (!isDamaged(path)) continue;
    for (const damage of damages(path, length, CORRUPTION_ALL === "1" ? 1 : stride * SPARSER)) {
      if (!isWithin(path, damage.offset)) continue;
      const found = await judge(make, specimen, damage);
      faults.push(...found.map((fault) => `CORRUPTION_SEED=${SEED}: ${fault}`));
      count++;
    }
  }
  if (count === 0) throw new Error("nothing was damaged");
  return faults;
}

/** Random digits in names do not count, so that a seed means the same in each run. */
function damages(path: string, length: number, stride: number): Damage[] {
  const dice = new Prng(`${SEED} ${path.replace(/\d{13}|[0-9a-f]{16}/g, "")}`);
  const start = dice.below(stride);
  const all = Array.from({ length }, (_, offset) => ({ path, offset, mask: 1 << dice.below(8) }));
  return all.filter(({ offset }) => offset % stride === start || offset + 1 === length);
}
