/** A journal on the local disk: a line before each call and one after it, each synced at once. */
import { fdatasyncSync, openSync, readFileSync, writeSync } from "node:fs";
import type { JournaledCall, JournaledOperation } from "./journal.ts";

export type JournalLine = { readonly n: number } & (
  | { readonly operations: readonly JournaledOperation[] }
  | { readonly outcome: "acknowledged" | "refused" }
);

export interface Journal {
  append(line: JournalLine): void;
}

export class JournalFile implements Journal {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, "a");
  }

  append(line: JournalLine): void {
    writeSync(this.#fd, `${JSON.stringify(line)}\n`);
    fdatasyncSync(this.#fd);
  }
}

/** The calls of one process, in order. What the kill left of a last line is no line. */
export function readJournal(path: string, incarnation: number): JournaledCall[] {
  const texts = readFileSync(path, "utf8").split("\n").slice(0, -1);
  const lines = texts.map((text): JournalLine => JSON.parse(text));
  try {
    return callsOf(lines, incarnation);
  } catch (cause) {
    throw new Error(`${path}: no journal`, { cause });
  }
}

/** The calls that the lines of one journal tell of. */
export function callsOf(lines: readonly JournalLine[], incarnation: number): JournaledCall[] {
  const calls = new Map<number, JournaledCall>();
  for (const line of lines) {
    const { n } = line;
    if ("operations" in line) {
      calls.set(n, { incarnation, n, operations: line.operations, outcome: "unknown" });
      continue;
    }
    const call = calls.get(n);
    if (call === undefined) throw new Error(`outcome of a call ${n} that was not begun`);
    calls.set(n, { ...call, outcome: line.outcome });
  }
  return [...calls.values()];
}
