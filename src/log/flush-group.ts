/**
 * Group commit across stores: writers of one process whose flushes share objects. Each keeps its
 * own segment (agent, clocks, `w`) and learns the outcome of the whole object (PROTOCOL, W7).
 */
import { assert } from "../core/assert.ts";
import { Deferred } from "../core/deferred.ts";
import { BudgetExceededError, UnavailableError, WriteOutcomeUnknownError } from "../core/errors.ts";
import { OVER } from "../core/over.ts";
import type { Runtime } from "../core/runtime.ts";
import { decodeFilter, encodeFilter } from "../format/paths.ts";
import { type EncodedSegment, encodeSegment } from "../format/segment-codec.ts";
import type { StorageBackend } from "../storage/backend.ts";
import type { Deadline } from "../storage/deadline.ts";
import type { LogWriter, SegmentDraft, SegmentRef, WrittenSegment } from "./log.ts";
import { type ObjectDraft, ObjectStream, type StreamIdentity } from "./object-stream.ts";

/** Of operation lines in one object, unless one segment alone is larger. */
const OBJECT_BYTES_MAX = 8 * 1024 * 1024;

export interface FlushGroupSettings {
  /**
   * A flush leaves at once when none is under way. Otherwise it waits until that one is back, but at
   * most so long, for others to leave with it.
   */
  readonly lingerMs: number;
  readonly writeTimeoutMs: number;
}

/** What a store brings to the group. */
export interface Member {
  /** Counts what is sent for this store and knows its budget, but no deadline: others wait too. */
  readonly backend: StorageBackend;
  readonly deadline: Deadline | undefined;
}

/** A flush that waits for its object, or for the object's outcome. */
interface Waiting extends Member {
  readonly draft: SegmentDraft;
  readonly lineBytes: number;
  readonly wOf: (stream: StreamIdentity) => string;
  readonly done: Deferred<WrittenSegment>;
  /** Of the object, once it is sent. */
  path: string | undefined;
}

/** The segments of one object, in order. */
interface GroupDraft extends ObjectDraft {
  readonly parts: readonly (EncodedSegment & { readonly w: string })[];
}

export class FlushGroup {
  readonly #runtime: Runtime;
  readonly #settings: FlushGroupSettings;
  readonly #stream: ObjectStream;
  #waiting: Waiting[] = [];
  #isLeaving = false;

  constructor(runtime: Runtime, settings: FlushGroupSettings) {
    this.#runtime = runtime;
    this.#settings = settings;
    this.#stream = new ObjectStream(runtime, "shared");
  }

  /** A writer of the group; it has one write in flight at a time, as every writer. */
  join(member: Member): LogWriter {
    const wOf = drawOnce(this.#runtime);
    const { deadline } = member;
    return {
      write: async (draft) => {
        const lineBytes = draft.lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
        const done = new Deferred<WrittenSegment>();
        const waiting = { ...member, draft, lineBytes, wOf, done, path: undefined };
        if (deadline === undefined) return this.#enter(waiting);
        return deadline.race(
          "a flush",
          () => this.#enter(waiting),
          () => this.#giveUp(waiting, deadline),
        );
      },
      close: async () => {},
    };
  }

  #enter(waiting: Waiting): Promise<WrittenSegment> {
    this.#waiting.push(waiting);
    if (!this.#isLeaving) void this.#leave();
    return waiting.done.promise;
  }

  /** The deadline has passed: what has not left yet never will. */
  #giveUp(waiting: Waiting, { text }: Deadline): never {
    const at = this.#waiting.indexOf(waiting);
    const { path } = waiting;
    if (at < 0) {
      throw new WriteOutcomeUnknownError(
        `put ${path} was not confirmed before ${text}: it may or may not take effect`,
        { path },
      );
    }
    this.#waiting.splice(at, 1);
    throw new UnavailableError(`a flush was not sent before ${text}`);
  }

  /** Sends what waits, object by object; never rejects. */
  async #leave(): Promise<void> {
    this.#isLeaving = true;
    // Flushes of the same moment share the object.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const flushed = this.#flush(this.#take());
      const back = new AbortController();
      const lingered = this.#runtime.sleep(this.#settings.lingerMs, back.signal);
      await Promise.race([flushed, lingered]);
      back.abort(OVER);
    }
    this.#isLeaving = false;
  }

  #take(): Waiting[] {
    let count = 0;
    for (let bytes = 0; count < this.#waiting.length; count++) {
      bytes += this.#waiting[count]?.lineBytes ?? 0;
      if (count > 0 && bytes > OBJECT_BYTES_MAX) break;
    }
    return this.#waiting.splice(0, count);
  }

  /** The first pays for the request; where its budget does not allow it, the next one does. */
  async #flush(group: readonly Waiting[]): Promise<void> {
    for (let rest = group; rest.length > 0;) {
      try {
        return await this.#flushFor(rest);
      } catch (error) {
        const isRefused = error instanceof BudgetExceededError;
        const failed = isRefused ? rest.slice(0, 1) : rest;
        for (const { done } of failed) done.reject(error);
        rest = rest.slice(failed.length);
      }
    }
  }

  async #flushFor(group: readonly Waiting[]): Promise<void> {
    const [first] = group;
    if (first === undefined) return;
    const onSend = (path: string): void => {
      for (const waiting of group) waiting.path = path;
    };
    const through = { backend: first.backend, timeoutMs: this.#timeoutMs(group), onSend };
    const written = await this.#stream.write(through, (stream) => encodeGroup(group, stream));
    const { path, draft, dateMs } = written;
    const oldestViewMs = Math.min(...group.map((waiting) => waiting.draft.viewMs));
    const refs = refsOf(path, draft);
    for (const [at, { done }] of group.entries()) {
      const [ref, part] = [refs[at], draft.parts[at]];
      assert(ref !== undefined && part !== undefined, "a part for each flush of the group");
      done.resolve({ w: part.w, ref, dateMs, oldestViewMs });
    }
  }

  /** As long as anybody waits. */
  #timeoutMs(group: readonly Waiting[]): number {
    const leftMs = group.map(({ deadline }) => deadline?.leftMs ?? Infinity);
    return Math.min(this.#settings.writeTimeoutMs, Math.max(...leftMs));
  }
}

function encodeGroup(group: readonly Waiting[], stream: StreamIdentity): GroupDraft {
  const parts = group.map(({ draft: { lines, viewMs: _viewMs, ...segment }, wOf }) => {
    const w = wOf(stream);
    return { w, ...encodeSegment({ ...segment, w }, lines, group.length) };
  });
  const ids = group.flatMap(({ draft }) => draft.operations.map(({ id }) => id));
  return {
    parts,
    bytes: Buffer.concat(parts.map(({ bytes }) => bytes)),
    lo: Math.min(...parts.map(({ lo }) => lo)),
    hi: Math.max(...parts.map(({ hi }) => hi)),
    filter: encodeFilter(new Set(ids)),
  };
}

/** One segment takes the whole object; of several, each takes its part. */
function refsOf(path: string, { parts }: GroupDraft): SegmentRef[] {
  let offset = 0;
  return parts.map(({ bytes, lo, hi, filter }) => {
    const range = { offset, length: bytes.length };
    offset += bytes.length;
    const ref = { path, lo, hi, filter: decodeFilter(filter) ?? "any", bytes: bytes.length };
    if (parts.length === 1) return { ...ref, key: path, range: undefined };
    return { ...ref, key: `${path}@${range.offset}`, range };
  });
}

/** The `w` of one writer's versions: another one in each stream (VERSION-UNIQUE, clones). */
function drawOnce(runtime: Runtime): (stream: StreamIdentity) => string {
  let drawn: { readonly stream: StreamIdentity; readonly w: string } | undefined;
  return (stream) => {
    if (drawn?.stream !== stream) drawn = { stream, w: runtime.randomHex(16) };
    return drawn.w;
  };
}
