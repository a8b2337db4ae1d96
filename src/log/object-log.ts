/** The log on an object store: an immutable object per flush, or for several, named by its content. */
import { append, maxOf } from "../core/bulk.ts";
import { CorruptionError, FormatVersionError } from "../core/errors.ts";
import type { Runtime } from "../core/runtime.ts";
import { clocksPlausible, isLikeLog, isLegacyLog, parseSegmentPath } from "../format/paths.ts";
import { decodeSegments } from "../format/segment-decoder.ts";
import type { ListedObject, StorageBackend } from "../storage/backend.ts";
import { type ClaimRef, takeLaneObject } from "./claims.ts";
import { listLog } from "./list-log.ts";
import {
  isFilledLegacyLog,
  readSegmentBytes,
  type Log,
  type LogListing,
  type LogPage,
  type LogPart,
  type LogSettings,
  type LogUnit,
  type LogWriter,
  type OfferedLog,
  type SegmentRead,
  type LogRef,
} from "./log.ts";
import { ObjectWriter } from "./object-writer.ts";
import { readAhead } from "./read-ahead.ts";

/** Of a long listing that is not held as a whole: each takes about a megabyte. */
const PAGES_MAX = 4;

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

  async list(): Promise<LogListing> {
    const objects: ListedObject[] = [];
    const dates: number[] = [];
    let legacyLog: string | undefined;
    for await (const page of listLog(this.#backend)) {
      append(objects, page.objects);
      dates.push(page.dateMs);
      legacyLog ??= page.objects.find(isFilledLegacyLog)?.path;
    }
    const [firstDateMs = 0] = dates;
    const lastDateMs = maxOf([firstDateMs, ...dates]);
    return { ...sortOut(objects), legacyLog, firstDateMs, lastDateMs };
  }

  async *pages(part?: LogPart): AsyncGenerator<LogPage, void> {
    for await (const { objects, dateMs } of listLog(this.#backend, { part, aheadMax: PAGES_MAX })) {
      const legacyLog = objects.find(isFilledLegacyLog)?.path;
      yield { ...sortOut(objects), legacyLog, dateMs, isLast: false };
    }
  }

  async *read(refs: Iterable<LogRef>): AsyncGenerator<SegmentRead> {
    for await (const { ref, bytes } of readAhead(refs, (next) =>
      readSegmentBytes(this.#backend, next),
    )) {
      yield decode(ref, bytes);
    }
  }

  createWriter(agentId: string): LogWriter {
    if (this.#join !== undefined) return this.#join();
    return new ObjectWriter(this.#backend, this.#runtime, this.#settings, agentId);
  }

  async *offer(part?: LogPart): AsyncGenerator<OfferedLog, void> {
    for await (const { objects, dateMs } of listLog(this.#backend, { part, aheadMax: PAGES_MAX })) {
      const { segments, corrupt } = sortOut(objects);
      const units = segments.map((ref) => ({ paths: [ref.path], segments: [ref], corrupt: false }));
      yield { units, leftOut: corrupt.length > 0, corrupt, dateMs };
    }
  }

  async deleteUnits(units: readonly LogUnit[]): Promise<void> {
    await this.#backend.delete(units.flatMap(({ paths }) => paths));
  }
}

function sortOut(
  objects: readonly ListedObject[],
): Pick<LogListing, "segments" | "lanes" | "corrupt" | "writtenMs"> {
  const segments: LogRef[] = [];
  const lanes: { claims: ClaimRef[]; transactions: string[] } = { claims: [], transactions: [] };
  const corrupt: CorruptionError[] = [];
  for (const object of objects) {
    const { path, bytes } = object;
    if (!path.endsWith(".jsonl")) continue; // Folder markers and the like.
    const name = parseSegmentPath(path);
    if (name === undefined) {
      if (takeLaneObject(object, lanes)) continue;
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
    } else corrupt.push(new CorruptionError(`${path}: impossible clocks ${lo}..${hi}`, { path }));
  }
  const writtenMs = (): Map<string, number> =>
    new Map(objects.map(({ path, lastModifiedMs }) => [path, lastModifiedMs]));
  const hasLanes = lanes.claims.length + lanes.transactions.length > 0;
  return { segments, ...(hasLanes ? { lanes } : {}), corrupt, writtenMs };
}

function decode(ref: LogRef, bytes: Uint8Array | undefined): SegmentRead {
  if (bytes === undefined) return { status: "gone", ref };
  try {
    return { status: "found", ref, segments: decodeSegments(bytes, ref) };
  } catch (error) {
    if (error instanceof CorruptionError) return { status: "corrupt", ref, error };
    throw error;
  }
}
