/** The log on an object store: an immutable object per flush, or for several, named by its content. */
import { maxOf } from "../core/bulk.ts";
import { CorruptionError, FormatVersionError } from "../core/errors.ts";
import type { Runtime } from "../core/runtime.ts";
import {
  clocksPlausible,
  isLikeLog,
  isOriginalLog,
  LOG_PREFIX,
  parseSegmentPath,
} from "../format/paths.ts";
import { decodeSegments } from "../format/segment-codec.ts";
import type { ListedObject, ListPage, StorageBackend } from "../storage/backend.ts";
import {
  isFilledOriginalLog,
  readSegmentBytes,
  type CompactionInput,
  type Log,
  type LogListing,
  type LogSettings,
  type LogUnit,
  type LogWriter,
  type SegmentRead,
  type SegmentRef,
} from "./log.ts";
import { ObjectWriter } from "./object-writer.ts";
import { readAhead } from "./read-ahead.ts";

const SHARDS = "0123456789abcdef".split("");

export class ObjectLog implements Log {
  readonly #backend: StorageBackend;
  readonly #runtime: Runtime;
  readonly #settings: LogSettings;
  readonly #join: (() => LogWriter) | undefined;

  /** @param join makes writers that flush together with others; default: each has its own stream */
  constructor(
    backend: StorageBackend,
    runtime: Runtime,
    settings: LogSettings,
    join?: () => LogWriter,
  ) {
    this.#backend = backend;
    this.#runtime = runtime;
    this.#settings = settings;
    this.#join = join;
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
      lastDateMs: maxOf(dates),
    };
  }

  read(refs: readonly SegmentRef[]): AsyncGenerator<SegmentRead> {
    return readAhead(refs, (ref) => readObject(this.#backend, ref));
  }

  createWriter(agentId: string): LogWriter {
    if (this.#join !== undefined) return this.#join();
    return new ObjectWriter(this.#backend, this.#runtime, this.#settings, agentId);
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
      if (!isLikeLog(path)) continue; // Of something else that uses the place.
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
    return { status: "found", ref, segments: decodeSegments(bytes, ref) };
  } catch (error) {
    if (error instanceof CorruptionError) return { status: "corrupt", ref, error };
    throw error;
  }
}
