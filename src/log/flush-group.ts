/**
 * Group commit across stores: writers of one process whose flushes share objects. Each keeps its
 * own segment (agent, clocks, `w`) and learns the outcome of the whole object (PROTOCOL, W7).
 */
import { assert } from "../core/assert.ts";
import { maxOf, minOf } from "../core/bulk.ts";
import { Deferred } from "../core/deferred.ts";
import { BudgetExceededError, UnavailableError, WriteOutcomeUnknownError } from "../core/errors.ts";
import { SILENT_ABORT } from "../core/silent-abort.ts";
import type { Runtime } from "../core/runtime.ts";
import { decodeFilter, encodeFilter, FILTER_IDS_MAX, filterHash } from "../format/paths.ts";
import { encodeBody, sealSegment, type SegmentBody, versionNonce } from "../format/segment.ts";
import type { StorageBackend } from "../storage/backend.ts";
import type { Conditions } from "../storage/conditions.ts";
import type { Deadline } from "../storage/deadline.ts";
import type { LogWriter, SegmentDraft, LogRef, WrittenSegment } from "./log.ts";
import {
  type ObjectContent,
  type ObjectDraft,
  ObjectStream,
  type StreamIdentity,
} from "./object-writer.ts";

/** Of operation lines in one object, unless one segment alone is larger. */
const OBJECT_BYTES_MAX = 8 * 1024 * 1024;

/** Those of the store that was first, for as long as the group lives. */
export interface FlushGroupSettings {
  /**
   * A flush is sent at once when no other is in flight. Otherwise it waits until that one is back, but
   * at most this long, so that others can join it.
   */
  readonly lingerMs: number;
  readonly writeTimeoutMs: number;
  /** As in `LogSettings`. */
  readonly conditions?: Conditions | undefined;
}

/** What a store brings to the group. */
export interface Member {
  /** Counts what is sent for this store, with its budget but without a deadline: others wait, too. */
  readonly backend: StorageBackend;
  readonly deadline: Deadline | undefined;
}

/** A flush that waits for its object, or for the object's outcome. */
interface Waiting extends Member {
  readonly draft: SegmentDraft;
  readonly lineBytes: number;
  readonly hashes: ReadonlySet<string>;
  readonly drawnFor: (stream: StreamIdentity) => string;
  readonly done: Deferred<WrittenSegment>;
  /** Once it has left. */
  sent: SentObject | undefined;
}

/** An object under way. */
interface SentObject {
  path: string;
  /** How many wait for its outcome; it is abandoned with the last one. */
  waiting: number;
  readonly abandoned: AbortController;
}

/** A flush as its object holds it. */
interface Part {
  readonly waiting: Waiting;
  readonly body: SegmentBody;
}

/** The segments of one object, in order. */
interface GroupDraft extends ObjectDraft {
  readonly segments: readonly { readonly writerNonce: string; readonly bytes: Buffer }[];
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
    this.#stream = new ObjectStream(runtime, "shared", settings.conditions);
  }

  /** A writer of the group; it has one write in flight at a time, as every writer. */
  join(member: Member): LogWriter {
    const drawnFor = drawOnce(this.#runtime);
    const { deadline } = member;
    return {
      write: async (draft) => {
        const own = { drawnFor, done: new Deferred<WrittenSegment>(), sent: undefined };
        const waiting: Waiting = { ...member, ...measure(draft), ...own };
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

  /** What has not left yet never will. */
  #giveUp(waiting: Waiting, deadline: Deadline): never {
    const { sent } = waiting;
    if (sent === undefined) {
      this.#waiting = this.#waiting.filter((one) => one !== waiting);
      throw notSent(deadline);
    }
    sent.waiting--;
    if (sent.waiting === 0) sent.abandoned.abort(SILENT_ABORT);
    const { path } = sent;
    throw new WriteOutcomeUnknownError(
      `put ${path} was not confirmed before ${deadline.text}: it may or may not take effect`,
      { path },
    );
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
      back.abort(SILENT_ABORT);
    }
    this.#isLeaving = false;
  }

  /** As many as one object may hold for its name to list the ids inside. */
  #take(): Waiting[] {
    const hashes = new Set<string>();
    let [count, bytes] = [0, 0];
    for (const waiting of this.#waiting) {
      for (const one of waiting.hashes) hashes.add(one);
      bytes += waiting.lineBytes;
      if (count > 0 && (bytes > OBJECT_BYTES_MAX || hashes.size > FILTER_IDS_MAX)) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  /** The first pays for the request; where its budget does not allow it, the next one does. */
  async #flush(group: readonly Waiting[]): Promise<void> {
    for (let rest = group; rest.length > 0;) {
      // A process that was frozen may get here before its timers run.
      const late = rest.filter(({ deadline }) => deadline?.hasPassed === true);
      for (const { done, deadline } of late) if (deadline) done.reject(notSent(deadline));
      if (late.length > 0) rest = rest.filter((waiting) => !late.includes(waiting));
      try {
        return await this.#flushFor(rest);
      } catch (error) {
        const failed = error instanceof BudgetExceededError ? rest.slice(0, 1) : rest;
        for (const { done } of failed) done.reject(error);
        rest = rest.slice(failed.length);
      }
    }
  }

  async #flushFor(group: readonly Waiting[]): Promise<void> {
    const [first] = group;
    if (first === undefined) return;
    const abandoned = new AbortController();
    const sent: SentObject = { path: "", waiting: group.length, abandoned };
    const through = {
      backend: first.backend,
      timeoutMs: () => this.#timeoutMs(group),
      signal: abandoned.signal,
      onSend: (path: string) => {
        sent.path = path;
        for (const waiting of group) waiting.sent = sent;
      },
    };
    const parts = group.map((waiting) => {
      const { operations, lines } = waiting.draft;
      return { waiting, body: encodeBody(operations, lines) };
    });
    const written = await this.#stream.write(through, contentOf(group), (path, stream) =>
      encodeGroup(parts, path, stream),
    );
    const { path, draft, dateMs } = written;
    const countsUntilMs = minOf(group.map((waiting) => waiting.draft.countsUntilMs));
    const refs = refsOf(path, parts, draft);
    for (const [at, { done }] of group.entries()) {
      const [ref, segment] = [refs[at], draft.segments[at]];
      assert(ref !== undefined && segment !== undefined, "a segment for each flush of the group");
      done.resolve({ writerNonce: segment.writerNonce, ref, dateMs, countsUntilMs });
    }
  }

  /** While at least one store waits. */
  #timeoutMs(group: readonly Waiting[]): number {
    const leftMs = group.map(({ deadline }) => deadline?.leftMs ?? Infinity);
    return Math.min(this.#settings.writeTimeoutMs, maxOf(leftMs));
  }
}

function measure(draft: SegmentDraft): Pick<Waiting, "draft" | "lineBytes" | "hashes"> {
  const lineBytes = draft.lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
  const hashes = new Set<string>();
  for (const { id } of draft.operations) {
    // A flush of more travels alone.
    if (hashes.size > FILTER_IDS_MAX) break;
    hashes.add(filterHash(id));
  }
  return { draft, lineBytes, hashes };
}

function notSent({ text }: Deadline): UnavailableError {
  return new UnavailableError(`a flush was not sent before ${text}`);
}

/** What the object's name contains about all its segments. */
function contentOf(group: readonly Waiting[]): ObjectContent {
  const clocks = group.flatMap(({ draft }) => draft.operations.map(({ clock }) => clock));
  const ids = group.flatMap(({ draft }) => draft.operations.map(({ id }) => id));
  const lo = clocks.reduce((least, clock) => Math.min(least, clock), Infinity);
  const hi = clocks.reduce((most, clock) => Math.max(most, clock), 0);
  return { lo, hi, filter: encodeFilter(new Set(ids)) };
}

function encodeGroup(parts: readonly Part[], path: string, stream: StreamIdentity): GroupDraft {
  const segments = parts.map(({ waiting: { draft, drawnFor }, body }) => {
    const writerNonce = versionNonce(drawnFor(stream), path, body.bytes);
    const { agent, schemaVersion } = draft;
    return {
      writerNonce,
      bytes: sealSegment({ agent, writerNonce, schemaVersion }, body, parts.length),
    };
  });
  const [only] = segments;
  const isAlone = segments.length === 1 && only !== undefined;
  const bytes = isAlone ? only.bytes : Buffer.concat(segments.map((segment) => segment.bytes));
  return { segments, bytes };
}

/** One segment takes the whole object; of several, each takes its part. */
function refsOf(path: string, parts: readonly Part[], { segments }: GroupDraft): LogRef[] {
  let offset = 0;
  return parts.map(({ body: { lo, hi, filter } }, at) => {
    const length = segments[at]?.bytes.length ?? 0;
    const range = { offset, length };
    offset += length;
    const ref = { path, lo, hi, filter: decodeFilter(filter) ?? "any", bytes: length };
    if (parts.length === 1) return { ...ref, key: path, range: undefined };
    return { ...ref, key: `${path}@${range.offset}`, range };
  });
}

/** 16 random hex digits of one writer, others in each stream (VERSION-UNIQUE, clones). */
function drawOnce(runtime: Runtime): (stream: StreamIdentity) => string {
  let drawn: { readonly stream: StreamIdentity; readonly hex: string } | undefined;
  return (stream) => {
    if (drawn?.stream !== stream) drawn = { stream, hex: runtime.randomHex(16) };
    return drawn.hex;
  };
}
