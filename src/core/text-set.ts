/**
 * A set of texts that takes 32 to 64 bytes for each, however long they are: it holds 128 bits of their
 * SHA-256, so that no two texts that anybody could find are taken for one.
 */
import { digestWords } from "./hash.ts";

const WORDS = 4;
const SLOTS_MIN = 64;

export class TextSet {
  /** A slot whose words are all 0 is free. */
  #words = new Uint32Array(WORDS * SLOTS_MIN);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(text: string): void {
    if (2 * this.#size * WORDS >= this.#words.length) this.#grow();
    this.#put(digestWords(text));
  }

  has(text: string): boolean {
    return this.#size > 0 && this.hasDigest(digestWords(text));
  }

  /** @param digest of a text, as `digestWords` returns it */
  hasDigest(digest: ArrayLike<number>): boolean {
    return this.#isTaken(this.#find(digest));
  }

  /** Where the digest is, or where it belongs. */
  #find(digest: ArrayLike<number>): number {
    const words = this.#words;
    const slots = words.length / WORDS;
    for (let slot = (digest[0] ?? 0) % slots; ; slot = (slot + 1) % slots) {
      const at = slot * WORDS;
      const isSame =
        words[at] === digest[0] &&
        words[at + 1] === digest[1] &&
        words[at + 2] === digest[2] &&
        words[at + 3] === digest[3];
      if (isSame || !this.#isTaken(at)) return at;
    }
  }

  #isTaken(at: number): boolean {
    const words = this.#words;
    return (words[at] || words[at + 1] || words[at + 2] || words[at + 3]) !== 0;
  }

  #put(digest: ArrayLike<number>): void {
    const at = this.#find(digest);
    if (!this.#isTaken(at)) this.#size++;
    this.#words.set(digest, at);
  }

  #grow(): void {
    const before = this.#words;
    this.#words = new Uint32Array(2 * before.length);
    this.#size = 0;
    for (let at = 0; at < before.length; at += WORDS) {
      const digest = before.subarray(at, at + WORDS);
      if (digest.some((word) => word !== 0)) this.#put(digest);
    }
  }
}
