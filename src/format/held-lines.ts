/**
 * Entries that are held until they are written, as the lines that a run will hold: as bytes, which take
 * less than objects and texts do, and none of the heap.
 */
import type { RunEntry } from "../core/version.ts";
import { encodeRunLine } from "./run-codec.ts";
import { StoredLine } from "./stored-line.ts";

const CHUNK_BYTES = 256 * 1024;
/** Of a line behind its record: a brace and a line feed. */
const END_BYTES = 2;

export class HeldLines {
  /** Their buffers are used again: nobody refers to the lines of a portion once the next begins. */
  #chunks: Buffer[] = [];
  #chunk: Buffer = Buffer.alloc(0);
  /** Chunks that hold lines, and of the last of them, bytes that do. */
  #count = 0;
  #used = 0;
  #bytes = 0;

  /** Of all lines, also of those that nobody refers to any more. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The lines so far are not needed any more. */
  clear(): void {
    this.#chunks = this.#chunks.filter(({ length }) => length === CHUNK_BYTES);
    this.#chunk = Buffer.alloc(0);
    [this.#count, this.#used, this.#bytes] = [0, 0, 0];
  }

  add(entry: RunEntry): StoredLine {
    const { id, schemaVersion: v, text } = entry;
    const line = encodeRunLine(entry);
    const length = Buffer.byteLength(line);
    if (this.#used + length > this.#chunk.length) this.#next(length);
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

  #next(bytes: number): void {
    const free = bytes <= CHUNK_BYTES ? this.#chunks[this.#count] : undefined;
    this.#chunk = free ?? Buffer.allocUnsafeSlow(Math.max(bytes, CHUNK_BYTES));
    if (free === undefined) this.#chunks.splice(this.#count, 0, this.#chunk);
    this.#count++;
    this.#used = 0;
  }
}
