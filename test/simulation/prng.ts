/** Seeded randomness: sfc32 (Chris Doty-Humphrey, PractRand), small, fast and the same everywhere. */

export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed any text; two texts give unrelated sequences */
  constructor(seed: string) {
    // As signed numbers: those need no memory of their own.
    [this.#a, this.#b, this.#c] = [
      hashText(seed, 1) | 0,
      hashText(seed, 2) | 0,
      hashText(seed, 3) | 0,
    ];
    for (let round = 0; round < 12; round++) this.#next();
  }

  /** Uniform in 0..2^32-1. */
  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform in [0, 1). */
  random(): number {
    return this.#next() / 2 ** 32;
  }

  /** Whether something of this probability happens now. */
  chance(probability: number): boolean {
    return this.random() < probability;
  }

  /** Uniform integer in 0..count-1. */
  below(count: number): number {
    return Math.floor(this.random() * count);
  }

  /** Uniform integer in low..high. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("pick from nothing");
    return item;
  }

  /** `count` different items, in random order. */
  sample<T>(items: readonly T[], count: number): T[] {
    const rest = [...items];
    const taken: T[] = [];
    while (taken.length < count && rest.length > 0) {
      taken.push(...rest.splice(this.below(rest.length), 1));
    }
    return taken;
  }

  hex(digits: number): string {
    let text = "";
    while (text.length < digits) text += this.#next().toString(16).padStart(8, "0");
    return text.slice(0, digits);
  }
}

/** FNV-1a, 32 bits. */
export function hashText(text: string, salt: number): number {
  let value = (0x811c9dc5 ^ Math.imul(salt, 0x9e3779b1)) >>> 0;
  for (let at = 0; at < text.length; at++) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193) >>> 0;
  }
  return value;
}
