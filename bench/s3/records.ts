/** The records of the stores that are measured: about 300 bytes of JSON each, the same in every run. */
import { isDeepStrictEqual } from "node:util";

export interface Task {
  readonly title: string;
  readonly status: string;
  readonly priority: number;
  readonly text: string;
}

const TEXT = Array.from({ length: 200 }, (_, n) => (n * 2_654_435_761).toString(36)).join(" ");
const TEXT_BYTES = 210;

/** Ordered as their numbers; ids that share all but the last three digits are a prefix of 1,000. */
export function idOf(n: number): string {
  return `task-${String(n).padStart(9, "0")}`;
}

export const PREFIX_RECORDS = 1_000;

/** The prefix of the 1,000 records that record `n` is one of. */
export function prefixOf(n: number): string {
  return idOf(n).slice(0, -3);
}

/** Written after the store was filled; above all of `idOf`. */
export function newId(writer: number, n: number): string {
  return `task-new-${writer}-${n}`;
}

export function recordOf(n: number): Task {
  const at = (n * 31) % (TEXT.length - TEXT_BYTES);
  const status = n % 3 === 0 ? "done" : "active";
  return { title: `Task ${n}`, status, priority: n % 5, text: TEXT.slice(at, at + TEXT_BYTES) };
}

/** @param parts into which the store is cut; one id of each, none at an edge */
export function scattered(records: number, parts: number): number[] {
  return Array.from({ length: parts }, (_, at) => Math.floor(((at + 0.37) * records) / parts));
}

/** A store that answers wrongly: no figure of it counts. */
export class WrongAnswer extends Error {}

/** @throws WrongAnswer */
export function expectRecord(id: string, found: unknown, n: number): void {
  if (isDeepStrictEqual(found, recordOf(n))) return;
  throw new WrongAnswer(
    `${id}: found ${JSON.stringify(found)}, expected ${JSON.stringify(recordOf(n))}`,
  );
}

/** @throws WrongAnswer */
export function expectCount(what: string, found: number, expected: number): void {
  if (found !== expected) throw new WrongAnswer(`${what}: found ${found}, expected ${expected}`);
}
