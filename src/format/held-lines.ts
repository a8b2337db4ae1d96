/**
 * Entries that are held until they are written, as the lines that a run will hold: as bytes, which take
 * less than objects and texts do, and none of the heap.
 */
import type { RunEntry } from "../core/version.ts";
import { encodeRunLine } from "./run-codec.ts";
import { StoredLine } from "./stored-line.ts";

const CHUNK_BYTES = 256 * 1024;

export class HeldLines {
  #chunk = Buffer.alloc(0);
  #used = 0;
  #bytes = 0;

  /** Of all lines, also of those that nobody refers to any more. */
  get bytes(): number {
    return this.#bytes;
  }

  add(entry: RunEntry): StoredLine {
    const { id, schemaVersion: v, text } = entry;
    const line = encodeRunLine(entry);
    const length = Buffer.byteLength(line);
    if (this.#used + length > this.#chunk.length) {
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(length, CHUNK_BYTES));
      this.#used = 0;
    }
    const start = this.#used;
    this.#chunk.write(line, start);
    this.#used += length;
    this.#bytes += length;
    if (text === undefined) return new StoredLine(this.#chunk, start, this.#used, { id, v });
    const isAscii = length === line.length;
    const textEnd = this.#used - END_BYTES;
    const headEnd = textEnd - (isAscii ? text.length : Buffer.byteLength(text));
    return new StoredLine(this.#chunk, start, this.#used, { id, v, headEnd });
  }
}

/** Of a line behind its record: a brace and a line feed. */
const END_BYTES = 2;
