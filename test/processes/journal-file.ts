/** A journal on the local disk: a line before each call and one after it, each synced at once. */
import { fdatasyncSync, openSync, readFileSync, writeSync } from "node:fs";
import type { JournaledCall, JournaledOperation } from "./journal.ts";

export type JournalLine = { readonly n: number } & (
  | { readonly operations: readonly JournaledOperation[] }
  | { readonly outcome: "acknowledged" | "refused" }
);

export class JournalFile {
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
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  const calls = new Map<number, JournaledCall>();
  for (const text of lines) {
    const line: JournalLine = JSON.parse(text);
    const { n } = line;
    if ("operations" in line) {
      calls.set(n, { incarnation, n, operations: line.operations, outcome: "unknown" });
      continue;
    }
    const call = calls.get(n);
    if (call === undefined) throw new Error(`${path}: outcome of a call ${n} that was not begun`);
    calls.set(n, { ...call, outcome: line.outcome });
  }
  return [...calls.values()];
}
