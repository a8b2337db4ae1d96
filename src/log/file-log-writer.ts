/** One writer's stream on a directory: `ops/<stream>.<k>.jsonl`, k = 1, 2, 3 … */
import { UnavailableError, WriteOutcomeUnknownError } from "../core/errors.ts";
import { messageOf } from "../core/realm.ts";
import type { Runtime } from "../core/runtime.ts";
import { decodeFilter, logFilePath, streamName } from "../format/paths.ts";
import { encodeBody, type SegmentBody, sealSegment, versionNonce } from "../format/segment.ts";
import type { AppendableStorage, AppendFile } from "../storage/backend.ts";
import type { LogWriter, SegmentDraft, WrittenSegment } from "./log.ts";

/** A file above this size gets a successor, so that a compaction has something to delete. */
const FILE_BYTES_MAX = 1024 * 1024;
/** How many compactions may seal our file while one frame is being written. */
const FENCED_MAX = 20;

/** A whole segment: `bytes` with its header. */
type Frame = Pick<SegmentBody, "bytes" | "lo" | "hi" | "filter">;

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
  /** 16 random hex digits, drawn at the first flush: before that, a process may still be cloned. */
  #drawn: string | undefined;
  #open: OpenFile | undefined;

  constructor(appendable: AppendableStorage, runtime: Runtime, agentId: string) {
    this.#appendable = appendable;
    this.#runtime = runtime;
    this.#agentId = agentId;
  }

  async write({ countsUntilMs, lines, ...draft }: SegmentDraft): Promise<WrittenSegment> {
    const body = encodeBody(draft.operations, lines);
    const drawn = (this.#drawn ??= this.#runtime.randomHex(16));
    const { stream, k, bytes: offset } = await this.#fileWithRoom();
    // Wherever the frame comes to lie in the end, it is the same write.
    const writerNonce = versionNonce(drawn, `${logFilePath(stream, k)}@${offset}`, body.bytes);
    const encoded = { ...body, bytes: sealSegment({ ...draft, writerNonce }, body) };
    let written = await this.#writeOnce(encoded);
    for (let attempt = 1; written === "fenced" && attempt <= FENCED_MAX; attempt++) {
      // A compactor may have read the frame before it took the file: it counts as landed from here.
      written = await this.#writeOnce(encoded).catch((cause: unknown) => {
        throw landedUnknown(cause);
      });
    }
    if (written === "fenced") throw landedUnknown(`${FENCED_MAX} files in a row were sealed`);
    return { writerNonce, ...written, countsUntilMs };
  }

  async #writeOnce(encoded: Frame): Promise<Pick<WrittenSegment, "ref" | "dateMs"> | "fenced"> {
    const { bytes, lo, hi, filter } = encoded;
    const open = await this.#fileWithRoom();
    const { dateMs } = await this.#append(open, bytes);
    if (await this.#fenced(open)) {
      await this.#abandon().catch((cause: unknown) => {
        throw landedUnknown(cause);
      });
      return "fenced";
    }
    const path = logFilePath(open.stream, open.k);
    const range = { offset: open.bytes, length: bytes.length };
    open.bytes += bytes.length;
    const known = decodeFilter(filter) ?? "any";
    const key = `${path}@${range.offset}`;
    return { dateMs, ref: { key, path, range, lo, hi, filter: known, bytes: bytes.length } };
  }

  /** After any failure the file may end in part of a frame: never append to it again. */
  async #append(open: OpenFile, bytes: Buffer): Promise<{ dateMs: number }> {
    try {
      return await open.file.append(bytes);
    } catch (error) {
      // The first error shows what became of the frame.
      await Promise.allSettled([this.#abandon()]);
      throw error;
    }
  }

  /** FENCE, in this order: no successor, and then still this file at its path. */
  async #fenced({ stream, k, file }: OpenFile): Promise<boolean> {
    try {
      if (await this.#appendable.exists(logFilePath(stream, k + 1))) return true;
      return !(await file.isInPlace());
    } catch (cause) {
      await Promise.allSettled([this.#abandon()]);
      throw landedUnknown(cause);
    }
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

function landedUnknown(cause: unknown): WriteOutcomeUnknownError {
  const reason = messageOf(cause);
  return new WriteOutcomeUnknownError(
    `a flush was appended but could not be confirmed: ${reason}`,
    {
      cause,
    },
  );
}
