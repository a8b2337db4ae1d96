/** Records that compress about as well as those of programs do, the same in every run. */
import { isDeepStrictEqual } from "node:util";

const WORDS = "order invoice shipped pending customer address street amount total item note".split(
  " ",
);

export interface BenchRecord {
  readonly title: string;
  readonly revision: number;
  readonly text: string;
}

/** About `bytes` bytes of JSON. */
export function recordOf(n: number, bytes: number, revision: number): BenchRecord {
  const title = `Record ${n}`;
  let text = "";
  // A linear congruential generator: its upper bits are good enough to choose words.
  for (let state = n * 31 + revision; text.length < bytes - 52;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    text += `${WORDS[state % WORDS.length]} ${state >>> 18} `;
  }
  return { title, revision, text };
}

export function isRecord(found: unknown, n: number, bytes: number, revision: number): boolean {
  return isDeepStrictEqual(found, recordOf(n, bytes, revision));
}
