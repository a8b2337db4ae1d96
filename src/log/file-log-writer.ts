/** One writer's stream on a directory: `ops/<stream>.<k>.jsonl`, k = 1, 2, 3 … */
import { UnavailableError } from "../core/errors.ts";
import type { Runtime } from "../core/runtime.ts";
import { decodeFilter, logFilePath, streamName } from "../format/paths.ts";
import { encodeSegment } from "../format/segment-codec.ts";
import type { AppendableStorage, AppendFile } from "../storage/backend.ts";
import type { LogWriter, SegmentDraft, WrittenSegment } from "./log.ts";

/** A file above this size gets a successor, so that a compaction has something to delete. */
const FILE_BYTES_MAX = 1024 * 1024;
/** How many compactions may seal our file while one frame is being written. */
const FENCED_MAX = 20;

interface OpenFile {
  readonly stream: string;
  readonly k: number;
  readonly file: AppendFile;
  bytes: number;
}

export class FileLogWriter implements LogWriter {
  readonly #appendable: AppendableStorage;
  readonly #runtime: Runtime;
  readonly #agentId: string;
  readonly #w: string;
  #open: OpenFile | undefined;

  constructor(appendable: AppendableStorage, runtime: Runtime, agentId: string) {
    this.#appendable = appendable;
    this.#runtime = runtime;
    this.#agentId = agentId;
    this.#w = runtime.randomHex(16);
  }

  async write({ agent, v, operations, lines }: SegmentDraft): Promise<WrittenSegment> {
    const w = this.#w;
    const { bytes, lo, hi, filter } = encodeSegment({ agent, w, v, operations }, lines);
    for (let attempt = 1; attempt <= FENCED_MAX; attempt++) {
      const open = await this.#fileWithRoom();
      const { dateMs } = await this.#append(open, bytes);
      if (await this.#fenced(open)) {
        await this.#abandon();
        continue;
      }
      const path = logFilePath(open.stream, open.k);
      const range = { offset: open.bytes, length: bytes.length };
      open.bytes += bytes.length;
      const known = decodeFilter(filter) ?? "any";
      const key = `${path}@${range.offset}`;
      return { w, dateMs, ref: { key, path, range, lo, hi, filter: known, bytes: bytes.length } };
    }
    throw new UnavailableError(`${FENCED_MAX} log files in a row were sealed while being written`);
  }

  /** After any failure the file may end in part of a frame: never append to it again. */
  async #append(open: OpenFile, bytes: Buffer): Promise<{ dateMs: number }> {
    try {
      return await open.file.append(bytes);
    } catch (error) {
      await this.#abandon();
      throw error;
    }
  }

  /** FENCE, in this order: no successor, and then still there. */
  async #fenced({ stream, k }: OpenFile): Promise<boolean> {
    if (await this.#appendable.exists(logFilePath(stream, k + 1))) return true;
    return !(await this.#appendable.exists(logFilePath(stream, k)));
  }

  async #fileWithRoom(): Promise<OpenFile> {
    const full =
      this.#open !== undefined && this.#open.bytes >= FILE_BYTES_MAX ? this.#open : undefined;
    if (full !== undefined) {
      await this.#abandon();
      this.#open = await this.#create(full.stream, full.k + 1);
    }
    for (let attempt = 1; attempt <= FENCED_MAX; attempt++) {
      if (this.#open !== undefined) return this.#open;
      const rand = this.#runtime.randomHex(16);
      const openMs = this.#runtime.nowMs();
      this.#open = await this.#create(streamName({ agentId: this.#agentId, openMs, rand }), 1);
    }
    throw new UnavailableError("no new log file could be created: every name is taken");
  }

  async #create(stream: string, k: number): Promise<OpenFile | undefined> {
    const file = await this.#appendable.create(logFilePath(stream, k));
    return file === undefined ? undefined : { stream, k, file, bytes: 0 };
  }

  async #abandon(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.file.close();
  }

  async close(): Promise<void> {
    await this.#abandon();
  }
}
