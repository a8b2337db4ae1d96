/** A history across processes: each writes what it does to a file, line by line; read together, they are one. */
import { openSync, readFileSync, writeSync } from "node:fs";
import type { History, ReadCall, SentVersion, SentWrite } from "./history.ts";

/** Values are told apart by a tag that occurs once in the history. Times are `steadyMs`. */
export type RegisterLine =
  | {
      readonly kind: "call";
      readonly id: string;
      readonly tag: string;
      readonly atMs: number;
      readonly viewMs: number;
    }
  | {
      readonly kind: "sent";
      readonly tag: string;
      readonly version: SentVersion;
      readonly operations: number;
      readonly atMs: number;
    }
  | {
      readonly kind: "ended";
      readonly tag: string;
      readonly outcome: SentWrite["outcome"];
      readonly atMs: number;
    }
  | ReadLine;

export interface ReadLine {
  readonly kind: "read";
  readonly id: string;
  /** Undefined: nothing was there. */
  readonly tag?: string | undefined;
  readonly invokedMs: number;
  readonly returnedMs: number;
  readonly viewMs: number;
}

/** What one store did over a backend of its own. */
export interface SessionLines {
  readonly session: string;
  readonly lines: readonly RegisterLine[];
}

/** ms by a clock that all processes of a host share and nobody sets. */
export function steadyMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export class RegisterJournal {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, "a");
  }

  /** What a killed process has written stays. */
  append(line: RegisterLine): void {
    writeSync(this.#fd, `${JSON.stringify(line)}\n`);
  }
}

/** What the kill left of a last line is no line. */
export function readRegisterJournal(path: string): SessionLines {
  const texts = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return { session: path, lines: texts.map((text): RegisterLine => JSON.parse(text)) };
}

/** Calls whose operation never left are no writes. */
export function historyOf(sessions: readonly SessionLines[]): History {
  const writes = new Map<string, SentWrite>();
  for (const one of sessions) for (const write of writesOf(one)) writes.set(write.tag, write);
  const reads: ReadCall[] = [];
  for (const { session, lines } of sessions) {
    for (const line of lines) {
      if (line.kind !== "read") continue;
      const { kind: _kind, tag, ...read } = line;
      const gave = tag === undefined ? [] : [writes.get(tag) ?? invented(tag)];
      reads.push({ ...read, session, gave });
    }
  }
  return { writes: [...writes.values()], reads };
}

type TaggedWrite = SentWrite & { readonly tag: string };

function writesOf({ session, lines }: SessionLines): TaggedWrite[] {
  const writes: TaggedWrite[] = [];
  const ended = new Map<
    string,
    { readonly outcome: SentWrite["outcome"]; readonly atMs: number }
  >();
  const sent = new Map<string, Extract<RegisterLine, { kind: "sent" }>>();
  for (const line of lines) {
    if (line.kind === "ended") ended.set(line.tag, line);
    // Sent again, it has the same version.
    if (line.kind === "sent" && !sent.has(line.tag)) sent.set(line.tag, line);
  }
  for (const line of lines) {
    if (line.kind !== "call") continue;
    const { id, tag, atMs: invokedMs, viewMs } = line;
    const sending = sent.get(tag);
    if (sending === undefined) continue;
    const { outcome, atMs: endedMs } = ended.get(tag) ?? { outcome: "unknown", atMs: Infinity };
    const { version, operations, atMs: sentMs } = sending;
    const call = { id, tag, session, medium: session, invokedMs, endedMs, outcome, viewMs };
    writes.push({ ...call, version, operations, sentMs, isDeletion: false });
  }
  return writes;
}

function invented(tag: string): never {
  throw new Error(`a reader was given ${tag}, which nobody sent`);
}
