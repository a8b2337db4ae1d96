/**
 * Writes segments as objects, each created once and never written again (ONCE). A stream names the
 * objects of one writer, or of the writers of a process that flush together (`flush-group.ts`).
 */
import { UnavailableError, WriteOutcomeUnknownError } from "../core/errors.ts";
import type { Runtime } from "../core/runtime.ts";
import { decodeFilter, segmentPath, streamName } from "../format/paths.ts";
import { encodeBody, sealSegment, versionNonce } from "../format/segment.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { Conditions } from "../storage/conditions.ts";
import { createObject, type PutThrough } from "./create-object.ts";
import type { LogSettings, LogWriter, SegmentDraft, WrittenSegment } from "./log.ts";

/** How many clones of one process may have taken a name before we do. */
const STREAMS_MAX = 5;

/** Compared by identity: a writer that sees another one draws new digits for its versions. */
export interface StreamIdentity {
  readonly name: string;
  /** The random part of the name: 16 hex digits. */
  readonly rand: string;
}

/** What an object's name contains about its content. */
export interface ObjectContent {
  readonly lo: number;
  readonly hi: number;
  /** As a name carries it. */
  readonly filter: string;
}

export interface ObjectDraft {
  readonly bytes: Buffer;
}

export interface WrittenObject<Draft> {
  readonly path: string;
  readonly draft: Draft;
  /** Date of the response that made it durable. */
  readonly dateMs: number;
}

/** The stream is named at its first flush: before that, a process may still be cloned. */
export class ObjectStream {
  readonly #runtime: Runtime;
  readonly #agentId: string;
  readonly #conditions: Conditions;
  #identity: StreamIdentity | undefined;
  /** Numbers are never used twice, gaps are allowed. */
  #n = 0;

  /**
   * @param agentId for people who read the names
   * @param conditions what is known of the medium's preconditions; default: nothing
   */
  constructor(runtime: Runtime, agentId: string, conditions = new Conditions()) {
    this.#runtime = runtime;
    this.#agentId = agentId;
    this.#conditions = conditions;
  }

  /**
   * Creates one object. Several may be under way at once.
   * @param encode given the object's path; called again when that turns out to be taken by another
   * @throws UnavailableError, BudgetExceededError and NotSupportedError when nothing was written,
   *   WriteOutcomeUnknownError when it may have been
   */
  async write<Draft extends ObjectDraft>(
    through: PutThrough,
    { lo, hi, filter }: ObjectContent,
    encode: (path: string, stream: StreamIdentity) => Draft,
  ): Promise<WrittenObject<Draft>> {
    this.#conditions.check();
    for (let attempt = 1; attempt <= STREAMS_MAX; attempt++) {
      if (through.signal?.aborted === true) throw new UnavailableError("nobody waits any more");
      const stream = (this.#identity ??= this.#open());
      const path = segmentPath({ stream: stream.name, n: ++this.#n, lo, hi, filter });
      const draft = encode(path, stream);
      through.onSend?.(path);
      const dateMs = await create(through, path, draft.bytes, this.#conditions);
      if (dateMs !== undefined) return { path, draft, dateMs };
      // Other bytes under our name: this process was cloned.
      if (this.#identity === stream) this.#identity = undefined;
    }
    throw new WriteOutcomeUnknownError(`${STREAMS_MAX} new streams in a row were taken by others`);
  }

  #open(): StreamIdentity {
    const rand = this.#runtime.randomHex(16);
    const openMs = this.#runtime.nowMs();
    return { name: streamName({ agentId: this.#agentId, openMs, rand }), rand };
  }
}

/** A writer with a stream of objects of its own. */
export class ObjectWriter implements LogWriter {
  readonly #through: PutThrough;
  readonly #stream: ObjectStream;

  constructor(backend: StorageBackend, runtime: Runtime, settings: LogSettings, agentId: string) {
    this.#through = { backend, timeoutMs: () => settings.writeTimeoutMs };
    this.#stream = new ObjectStream(runtime, agentId, settings.conditions);
  }

  async write({ lines, countsUntilMs, ...segment }: SegmentDraft): Promise<WrittenSegment> {
    const body = encodeBody(segment.operations, lines);
    const { lo, hi } = body;
    const { path, draft, dateMs } = await this.#stream.write(
      this.#through,
      body,
      (name, stream) => {
        const writerNonce = versionNonce(stream.rand, name, body.bytes);
        return { writerNonce, bytes: sealSegment({ ...segment, writerNonce }, body) };
      },
    );
    const { writerNonce, bytes } = draft;
    const filter = decodeFilter(body.filter) ?? "any";
    const ref = { key: path, path, range: undefined, lo, hi, filter, bytes: bytes.length };
    return { writerNonce, ref, dateMs, countsUntilMs };
  }

  async close(): Promise<void> {}
}

/** Undefined if another writer's bytes are there. */
async function create(
  through: PutThrough,
  path: string,
  bytes: Buffer,
  conditions: Conditions,
): Promise<number | undefined> {
  const created = await createObject(through, path, bytes, conditions);
  if (created.status === "gone") {
    throw new WriteOutcomeUnknownError(`${path} existed and is gone: it may have been compacted`, {
      path,
    });
  }
  return created.status === "written" ? created.dateMs : undefined;
}
