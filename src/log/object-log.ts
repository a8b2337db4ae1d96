/** The log on an object store: one immutable object per flush, named by its content. */
import { CorruptionError, FormatVersionError, WriteOutcomeUnknownError } from "../core/errors.ts";
import type { Runtime } from "../core/runtime.ts";
import {
  clocksPlausible,
  decodeFilter,
  isOriginalLog,
  LOG_PREFIX,
  parseSegmentPath,
  segmentPath,
  streamName,
} from "../format/paths.ts";
import { decodeSegment, encodeSegment, type Segment } from "../format/segment-codec.ts";
import type { ListedObject, ListPage, StorageBackend } from "../storage/backend.ts";
import { beyondBudget } from "../storage/metered-backend.ts";
import {
  isFilledOriginalLog,
  readSegmentBytes,
  type CompactionInput,
  type Log,
  type LogListing,
  type LogSettings,
  type LogUnit,
  type LogWriter,
  type SegmentDraft,
  type SegmentRead,
  type SegmentRef,
  type WrittenSegment,
} from "./log.ts";
import { readAhead } from "./read-ahead.ts";

/** How many clones of one process may have taken a name before we do. */
const STREAMS_MAX = 5;
const SHARDS = "0123456789abcdef".split("");

export class ObjectLog implements Log {
  readonly #backend: StorageBackend;
  readonly #runtime: Runtime;
  readonly #settings: LogSettings;

  constructor(backend: StorageBackend, runtime: Runtime, settings: LogSettings) {
    this.#backend = backend;
    this.#runtime = runtime;
    this.#settings = settings;
  }

  /** V1: when the first page says there are more, the 16 shards are listed in parallel. */
  async list(): Promise<LogListing> {
    const [first] = await takePages(this.#backend.list(LOG_PREFIX), 1);
    let pages = first === undefined ? [] : [first];
    const originalLog = first?.objects.find(isFilledOriginalLog)?.path;
    if (first?.truncated === true) {
      const shards = SHARDS.map((shard) => takePages(this.#backend.list(`${LOG_PREFIX}${shard}/`)));
      pages = (await Promise.all(shards)).flat();
    }
    const dates = pages.map(({ dateMs }) => dateMs);
    return {
      ...sortOut(pages.flatMap(({ objects }) => objects)),
      originalLog,
      firstDateMs: first?.dateMs ?? 0,
      lastDateMs: Math.max(...dates),
    };
  }

  read(refs: readonly SegmentRef[]): AsyncGenerator<SegmentRead> {
    return readAhead(refs, (ref) => readObject(this.#backend, ref));
  }

  createWriter(agentId: string): LogWriter {
    return new ObjectLogWriter(this.#backend, this.#runtime, this.#settings, agentId);
  }

  async prepareCompaction(): Promise<CompactionInput> {
    const { segments, corrupt, firstDateMs } = await this.list();
    const units = segments.map((ref) => ({ paths: [ref.path], segments: [ref], corrupt: false }));
    return { units, leftOut: corrupt.length > 0, corrupt, firstDateMs };
  }

  async deleteUnits(units: readonly LogUnit[]): Promise<void> {
    await this.#backend.delete(units.flatMap(({ paths }) => paths));
  }
}

async function takePages(pages: AsyncIterable<ListPage>, most = Infinity): Promise<ListPage[]> {
  const taken: ListPage[] = [];
  for await (const page of pages) {
    taken.push(page);
    if (taken.length >= most) break;
  }
  return taken;
}

function sortOut(
  objects: readonly ListedObject[],
): Pick<LogListing, "segments" | "corrupt" | "writtenMs"> {
  const writtenMs = new Map<string, number>();
  const segments: SegmentRef[] = [];
  const corrupt: CorruptionError[] = [];
  for (const { path, bytes, lastModifiedMs } of objects) {
    if (!path.endsWith(".jsonl")) continue; // Folder markers and the like.
    const name = parseSegmentPath(path);
    if (name === undefined) {
      if (isOriginalLog(path)) continue; // Its manifest says whether it counts.
      throw new FormatVersionError(
        `${path} is not a log segment this version of opslog-serverless knows: a newer one wrote it, ` +
          "or it does not belong here",
        { path },
      );
    }
    const { lo, hi, filter } = name;
    if (clocksPlausible(name)) {
      segments.push({ key: path, path, range: undefined, lo, hi, filter, bytes });
      writtenMs.set(path, lastModifiedMs);
    } else corrupt.push(new CorruptionError(`${path}: impossible clocks ${lo}..${hi}`, { path }));
  }
  return { segments, corrupt, writtenMs };
}

async function readObject(backend: StorageBackend, ref: SegmentRef): Promise<SegmentRead> {
  const bytes = await readSegmentBytes(backend, ref);
  if (bytes === undefined) return { status: "gone", ref };
  try {
    return {
      status: "found",
      ref,
      segment: checkName(decodeSegment(bytes, { path: ref.path, offset: 0 }), ref),
    };
  } catch (error) {
    if (error instanceof CorruptionError) return { status: "corrupt", ref, error };
    throw error;
  }
}

/** The name decided who reads the segment, so it must not lie about what is inside. */
function checkName(segment: Segment, { path, lo, hi }: SegmentRef): Segment {
  const [first, last] = [segment.operations[0]?.clock, segment.operations.at(-1)?.clock];
  if (first === lo && last === hi) return segment;
  throw new CorruptionError(`${path}: expected clocks ${lo}..${hi}, found ${first}..${last}`, {
    path,
  });
}

/** The stream is named at its first flush: before that, a process may still be cloned. */
class ObjectLogWriter implements LogWriter {
  readonly #backend: StorageBackend;
  readonly #runtime: Runtime;
  readonly #settings: LogSettings;
  readonly #agentId: string;
  #stream: { readonly name: string; readonly w: string } | undefined;
  /** Numbers are never used twice, gaps are allowed. */
  #n = 0;

  constructor(backend: StorageBackend, runtime: Runtime, settings: LogSettings, agentId: string) {
    this.#backend = backend;
    this.#runtime = runtime;
    this.#settings = settings;
    this.#agentId = agentId;
  }

  async write(draft: SegmentDraft): Promise<WrittenSegment> {
    for (let attempt = 1; attempt <= STREAMS_MAX; attempt++) {
      const written = await this.#writeOnce(draft);
      if (written !== undefined) return written;
      // Other bytes under our name: this process was cloned. A new w makes our versions our own.
      this.#stream = undefined;
    }
    throw new WriteOutcomeUnknownError(`${STREAMS_MAX} new streams in a row were taken by others`);
  }

  async #writeOnce({
    agent,
    v,
    operations,
    lines,
  }: SegmentDraft): Promise<WrittenSegment | undefined> {
    const { name: stream, w } = (this.#stream ??= this.#openStream());
    const { bytes, lo, hi, filter } = encodeSegment({ agent, w, v, operations }, lines);
    const path = segmentPath({ stream, n: ++this.#n, lo, hi, filter });
    const timeoutMs = this.#settings.writeTimeoutMs;
    const put = await this.#backend.put(path, bytes, { ifAbsent: true }, { timeoutMs });
    const dateMs = put.status === "written" ? put.dateMs : await this.#settle(path, bytes);
    if (dateMs === undefined) return undefined;
    const known = decodeFilter(filter) ?? "any";
    const ref = { key: path, path, range: undefined, lo, hi, filter: known, bytes: bytes.length };
    return { w, ref, dateMs };
  }

  /** Somebody's bytes are there: ours (an answer was lost), or a clone's. */
  async #settle(path: string, bytes: Buffer): Promise<number | undefined> {
    const found = await beyondBudget(this.#backend)
      .get(path)
      .catch((cause: unknown) => {
        throw new WriteOutcomeUnknownError(`${path} exists, but could not be read back`, {
          path,
          cause,
        });
      });
    if (found.status !== "found") {
      throw new WriteOutcomeUnknownError(
        `${path} existed and is gone: it may have been compacted`,
        { path },
      );
    }
    return bytes.equals(found.body) ? found.dateMs : undefined;
  }

  #openStream(): { readonly name: string; readonly w: string } {
    const w = this.#runtime.randomHex(16);
    const name = streamName({ agentId: this.#agentId, openMs: this.#runtime.nowMs(), rand: w });
    return { name, w };
  }

  async close(): Promise<void> {}
}
