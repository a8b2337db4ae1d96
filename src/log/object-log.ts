/** The log on an object store: an immutable object per flush, or for several, named by its content. */
import { maxOf } from "../core/bulk.ts";
import { CorruptionError, FormatVersionError } from "../core/errors.ts";
import { asTheyCome } from "../core/parallel.ts";
import type { Runtime } from "../core/runtime.ts";
import {
  clocksPlausible,
  isLikeLog,
  isLegacyLog,
  LOG_PREFIX,
  parseSegmentPath,
} from "../format/paths.ts";
import { decodeSegments } from "../format/segment-decoder.ts";
import type { ListedObject, ListPage, StorageBackend } from "../storage/backend.ts";
import {
  isFilledLegacyLog,
  readSegmentBytes,
  type IsEnough,
  type Log,
  type LogListing,
  type LogSettings,
  type LogUnit,
  type LogWriter,
  type OfferedLog,
  type SegmentRead,
  type LogRef,
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

  async list(isEnough: IsEnough = () => false): Promise<LogListing> {
    const objects: ListedObject[] = [];
    const dates: number[] = [];
    let isCut = false;
    let legacyLog: string | undefined;
    for await (const page of this.#pages()) {
      for (const object of page.objects) objects.push(object);
      dates.push(page.dateMs);
      legacyLog ??= page.objects.find(isFilledLegacyLog)?.path;
      isCut = isEnough(objects.length);
      if (isCut) break;
    }
    const [firstDateMs = 0] = dates;
    const lastDateMs = maxOf([firstDateMs, ...dates]);
    return { ...sortOut(objects), legacyLog, firstDateMs, lastDateMs, isCut };
  }

  /** V1: when the first page says there are more, the 16 shards are listed in parallel. */
  async *#pages(): AsyncGenerator<ListPage, void> {
    const first = await firstPage(this.#backend.list(LOG_PREFIX));
    if (first?.truncated !== true) {
      yield first ?? { objects: [], truncated: false, dateMs: 0 };
      return;
    }
    // A legacy log lies in no shard; its date is the one that the listing began.
    yield { ...first, objects: first.objects.filter(isFilledLegacyLog) };
    yield* asTheyCome(SHARDS.map((shard) => this.#backend.list(`${LOG_PREFIX}${shard}/`)));
  }

  read(refs: Iterable<LogRef>): AsyncGenerator<SegmentRead> {
    return readAhead(refs, (ref) => readObject(this.#backend, ref));
  }

  createWriter(agentId: string): LogWriter {
    if (this.#join !== undefined) return this.#join();
    return new ObjectWriter(this.#backend, this.#runtime, this.#settings, agentId);
  }

  async *offer(): AsyncGenerator<OfferedLog, void> {
    for await (const { objects, dateMs } of this.#pages()) {
      const { segments, corrupt } = sortOut(objects);
      const units = segments.map((ref) => ({ paths: [ref.path], segments: [ref], corrupt: false }));
      yield { units, leftOut: corrupt.length > 0, corrupt, dateMs };
    }
  }

  async deleteUnits(units: readonly LogUnit[]): Promise<void> {
    await this.#backend.delete(units.flatMap(({ paths }) => paths));
  }
}

async function firstPage(pages: AsyncIterable<ListPage>): Promise<ListPage | undefined> {
  for await (const page of pages) return page;
  return undefined;
}

function sortOut(
  objects: readonly ListedObject[],
): Pick<LogListing, "segments" | "corrupt" | "writtenMs"> {
  const writtenMs = new Map<string, number>();
  const segments: LogRef[] = [];
  const corrupt: CorruptionError[] = [];
  for (const { path, bytes, lastModifiedMs } of objects) {
    if (!path.endsWith(".jsonl")) continue; // Folder markers and the like.
    const name = parseSegmentPath(path);
    if (name === undefined) {
      if (isLegacyLog(path)) continue; // Its manifest decides whether it counts.
      if (!isLikeLog(path)) continue; // Of something else that uses the place.
      throw new FormatVersionError(
        `${path} is not a log segment that this version of opslog-serverless supports: a newer one wrote it, ` +
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

async function readObject(backend: StorageBackend, ref: LogRef): Promise<SegmentRead> {
  const bytes = await readSegmentBytes(backend, ref);
  if (bytes === undefined) return { status: "gone", ref };
  try {
    return { status: "found", ref, segments: decodeSegments(bytes, ref) };
  } catch (error) {
    if (error instanceof CorruptionError) return { status: "corrupt", ref, error };
    throw error;
  }
}
