/** Seeded dice: the same seed gives the same choices. */
export interface Dice {
  /** Uniform integer in 0..bound-1. */
  below(bound: number): number;
  chance(probability: number): boolean;
  /** `count` different elements. */
  pick<T>(from: readonly T[], count: number): T[];
}

/** The seed of this run: SEED of the environment, else a new one; tests print it. */
export function runSeed(): number {
  const { SEED } = process.env;
  return SEED ? Number(SEED) : Date.now() % 1_000_000_000;
}

export function dice(seed: number): Dice {
  // splitmix32: small, and good enough to choose moments and operations.
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
  const below = (bound: number): number => Math.floor(next() * bound);
  return {
    below,
    chance: (probability) => next() < probability,
    pick: (from, count) => {
      const left = [...from];
      const picked = [];
      while (picked.length < count && left.length > 0)
        picked.push(...left.splice(below(left.length), 1));
      return picked;
    },
  };
}
