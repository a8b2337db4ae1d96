/** Records of a given size, the same in every run. */

export function idOf(n: number): string {
  return `record-${String(n).padStart(9, "0")}`;
}

const WORDS = "alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima".split(
  " ",
);

/** A record of about `bytes` bytes of JSON; `revision` changes one small field. */
export function recordOf(n: number, bytes: number, revision = 0): object {
  const head = {
    title: `Record ${n}`,
    status: "active",
    revision,
    tags: [WORDS[n % WORDS.length]],
  };
  const words: string[] = [];
  for (let length = JSON.stringify(head).length + 12, at = n; length < bytes; at += 7) {
    const word = `${WORDS[at % WORDS.length]}${at % 1_000}`;
    words.push(word);
    length += word.length + 1;
  }
  return { ...head, body: words.join(" ") };
}

/** Visits 0..count-1 in an order without pattern: a full cycle when `count` is no multiple of 7,919. */
export function scattered(at: number, count: number): number {
  return (at * 7_919) % count;
}
