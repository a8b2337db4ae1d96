/**
 * The log on a directory: appended files, one frame per flush. A file is sealed by creating its
 * successor; only sealed files are deleted (FENCE).
 */
import { append } from "../core/bulk.ts";
import { CorruptionError, FormatVersionError } from "../core/errors.ts";
import { mapParallel } from "../core/parallel.ts";
import type { Runtime } from "../core/runtime.ts";
import { compareText } from "../core/version.ts";
import {
  isLikeLog,
  isLegacyLog,
  LOG_PREFIX,
  logFilePath,
  parseLogFilePath,
} from "../format/paths.ts";
import { decodeSegment } from "../format/segment-decoder.ts";
import type { AppendableStorage, ListedObject, StorageBackend } from "../storage/backend.ts";
import { type ClaimRef, type ListedLanes, takeLaneObject } from "./claims.ts";
import { FileLogWriter } from "./file-log-writer.ts";
import { scanFrames } from "./frames.ts";
import {
  isFilledLegacyLog,
  readSegmentBytes,
  type Log,
  type LogListing,
  type LogPage,
  type LogPart,
  type LogUnit,
  type LogWriter,
  type OfferedLog,
  type SegmentRead,
  type LogRef,
} from "./log.ts";

const READS_PARALLEL = 4;
/** Small: what outlives a few cycles of the collector costs the process more than that. */
const READ_BYTES_MAX = 256 * 1024;
/** Of files that are sealed or scanned before the caller receives them. */
const PART_FILES = 64;
const PART_BYTES = 4 * 1024 * 1024;
/** Frames of a longer log are not kept from page to page: they are scanned again when they are offered. */
const FRAMES_KEPT_MAX = 20_000;
/** An empty file may be one that its owner is about to append to: leave it that long. */
const EMPTY_FILE_MS = 3_600_000;

/** What is known of one file; frames never change once scanned. */
interface ScannedFile {
  readonly frames: LogRef[];
  readonly corrupt: CorruptionError[];
  consumedBytes: number;
}

type Frames = Pick<ScannedFile, "frames" | "corrupt">;

interface LogFile extends ListedObject {
  readonly stream: string;
  readonly k: number;
}

interface ListedFiles {
  readonly files: LogFile[];
  readonly dateMs: number;
  readonly legacyLog: string | undefined;
  readonly lanes: ListedLanes | undefined;
}

export class FileLog implements Log {
  readonly #backend: StorageBackend;
  readonly #appendable: AppendableStorage;
  readonly #runtime: Runtime;
  #scanned = new Map<string, ScannedFile>();

  constructor(backend: StorageBackend, appendable: AppendableStorage, runtime: Runtime) {
    this.#backend = backend;
    this.#appendable = appendable;
    this.#runtime = runtime;
  }

  async list(): Promise<LogListing> {
    const { files, dateMs, legacyLog, lanes } = await this.#listFiles(undefined);
    const present = pathsOf(files);
    const known: Frames[] = [];
    for (const some of inParts(files)) append(known, await this.#scanAll(some, present));
    this.#forgetAllBut(present);
    return {
      segments: known.flatMap(({ frames }) => frames),
      ...(lanes === undefined ? {} : { lanes }),
      corrupt: known.flatMap(({ corrupt }) => corrupt),
      writtenMs: () => datesOf(files),
      legacyLog,
      firstDateMs: dateMs,
      lastDateMs: dateMs,
    };
  }

  async *pages(part?: LogPart): AsyncGenerator<LogPage, void> {
    const { files, dateMs, legacyLog, lanes } = await this.#listFiles(part);
    const present = pathsOf(files);
    let [count, kept] = [0, 0];
    for (const some of inParts(files)) {
      const known = await this.#scanAll(some, present);
      const ofFirst = count === 0 && lanes !== undefined ? { lanes } : {};
      count += some.length;
      const segments = known.flatMap(({ frames }) => frames);
      const corrupt = known.flatMap((each) => each.corrupt);
      kept += segments.length;
      if (kept > FRAMES_KEPT_MAX) for (const { path } of some) this.#scanned.delete(path);
      const isLast = count === files.length;
      const writtenMs = (): Map<string, number> => datesOf(some);
      yield { segments, ...ofFirst, corrupt, writtenMs, legacyLog, dateMs, isLast };
    }
    if (part === undefined) this.#forgetAllBut(present);
  }

  #scanAll(files: readonly LogFile[], present: ReadonlySet<string>): Promise<Frames[]> {
    return mapParallel(files, READS_PARALLEL, async (file) =>
      asOfListing(file, await this.#scan(file), present),
    );
  }

  async #listFiles(part: LogPart | undefined): Promise<ListedFiles> {
    const files: LogFile[] = [];
    const lanes: { claims: ClaimRef[]; transactions: string[] } = { claims: [], transactions: [] };
    if (part !== undefined && part.index > 0) {
      return { files, dateMs: 0, legacyLog: undefined, lanes: undefined };
    }
    let legacyLog: string | undefined;
    let dateMs = 0;
    for await (const page of this.#backend.list(LOG_PREFIX)) {
      dateMs ||= page.dateMs;
      legacyLog ??= page.objects.find(isFilledLegacyLog)?.path;
      for (const object of page.objects) {
        if (!object.path.endsWith(".jsonl")) continue;
        const name = parseLogFilePath(object.path);
        if (name === undefined) {
          if (takeLaneObject(object, lanes)) continue;
          if (isLegacyLog(object.path)) continue; // Its manifest decides whether it counts.
          if (!isLikeLog(object.path)) continue; // Of something else that uses the place.
          throw new FormatVersionError(
            `${object.path} is not a log file that this version of opslog-serverless supports: ` +
              "a newer one wrote it, or it does not belong here",
            { path: object.path },
          );
        }
        files.push({ ...object, ...name });
      }
    }
    const hasLanes = lanes.claims.length + lanes.transactions.length > 0;
    return { files, dateMs, legacyLog, lanes: hasLanes ? lanes : undefined };
  }

  /** Reads what the file has grown by since the last look. */
  async #scan({ path, bytes }: Pick<LogFile, "path" | "bytes">): Promise<ScannedFile> {
    const known = this.#scanned.get(path) ?? { frames: [], corrupt: [], consumedBytes: 0 };
    this.#scanned.set(path, known);
    if (bytes <= known.consumedBytes) return known;
    const range = { offset: known.consumedBytes, length: Number.MAX_SAFE_INTEGER };
    const grown = await readSegmentBytes(this.#backend, { path, range });
    if (grown === undefined) return known;
    // Another look came first; ours may have been the later one, so look again.
    if (known.consumedBytes !== range.offset) return this.#scan({ path, bytes });
    const buffer = Buffer.from(grown.buffer, grown.byteOffset, grown.byteLength);
    const scan = scanFrames(buffer, { path, offset: known.consumedBytes });
    for (const frame of scan.frames) known.frames.push(frame);
    append(known.corrupt, scan.corrupt);
    known.consumedBytes += scan.consumedBytes;
    return known;
  }

  #forgetAllBut(present: ReadonlySet<string>): void {
    for (const path of this.#scanned.keys()) if (!present.has(path)) this.#scanned.delete(path);
  }

  async *read(refs: Iterable<LogRef>): AsyncGenerator<SegmentRead> {
    for (const group of groupAdjacent(refs)) {
      const [first, last] = [group[0], group.at(-1)];
      if (first?.range === undefined || last?.range === undefined) continue;
      const { offset } = first.range;
      const length = last.range.offset + last.range.length - offset;
      const bytes = await readSegmentBytes(this.#backend, {
        path: first.path,
        range: { offset, length },
      });
      for (const ref of group) yield readFrameAt(ref, bytes, offset);
    }
  }

  createWriter(agentId: string): LogWriter {
    return new FileLogWriter(this.#appendable, this.#runtime, agentId);
  }

  async *offer(part?: LogPart): AsyncGenerator<OfferedLog, void> {
    const { files, dateMs } = await this.#listFiles(part);
    const present = pathsOf(files);
    const ordered = files.toSorted((a, b) => compareText(a.stream, b.stream) || a.k - b.k);
    for (const some of inParts(ordered)) {
      const corrupt: CorruptionError[] = [];
      const units = await mapParallel(some, READS_PARALLEL, async (file) => {
        const { unit, errors } = await this.#seal(file, present, dateMs);
        append(corrupt, errors);
        return unit ?? [];
      });
      yield { units: units.flat(), leftOut: corrupt.length > 0, corrupt, dateMs };
    }
  }

  /** FENCE: a file is read for deletion only after its successor existed. */
  async #seal(
    { path, stream, k, bytes, lastModifiedMs }: LogFile,
    present: ReadonlySet<string>,
    dateMs: number,
  ): Promise<{ readonly unit?: LogUnit; readonly errors: readonly CorruptionError[] }> {
    const successor = logFilePath(stream, k + 1);
    const paths = [path];
    if (!present.has(successor) && bytes === 0) {
      const abandoned = dateMs - lastModifiedMs > EMPTY_FILE_MS;
      // While its predecessor is there, it seals that one.
      const mayGo = k === 1 ? abandoned : !present.has(logFilePath(stream, k - 1));
      // Its owner may have stopped just before it appends: sealed and read like any other.
      if (!mayGo) return { errors: [] };
    }
    if (!present.has(successor)) {
      const seal = await this.#appendable.create(successor);
      await seal?.close();
      // A successor that the owner made in the same moment is in use: it stays.
      if (seal !== undefined) paths.push(successor);
    }
    const { frames, corrupt } = await this.#scan({ path, bytes: Number.MAX_SAFE_INTEGER });
    // Whoever it is offered to holds them, and then deletes it.
    this.#scanned.delete(path);
    return { unit: { paths, segments: [...frames], corrupt: corrupt.length > 0 }, errors: corrupt };
  }

  /** In order, one by one: a file goes before its successor, which fences its owner until then. */
  async deleteUnits(units: readonly LogUnit[]): Promise<void> {
    for (const path of units.flatMap(({ paths }) => paths)) await this.#backend.delete([path]);
  }
}

/**
 * FENCE: an owner appends one frame at a time, and nothing after one that it finds behind the seal.
 * So only the last frame may be such a one, where the successor was listed or the file grew since.
 */
function asOfListing(
  { stream, k, bytes }: LogFile,
  scanned: ScannedFile,
  present: ReadonlySet<string>,
): Frames {
  const { frames, corrupt } = scanned;
  const last = frames.at(-1);
  if (last?.range === undefined) return scanned;
  const isGrown = last.range.offset + last.range.length > bytes;
  if (!isGrown && !present.has(logFilePath(stream, k + 1))) return scanned;
  return { frames: [...frames.slice(0, -1), { ...last, mayVanish: true }], corrupt };
}

/** Always one, also of no files: an empty directory is offered too. */
function* inParts(files: readonly LogFile[]): Generator<readonly LogFile[]> {
  let some: LogFile[] = [];
  let bytes = 0;
  for (const file of files) {
    some.push(file);
    bytes += file.bytes;
    if (some.length < PART_FILES && bytes < PART_BYTES) continue;
    yield some;
    [some, bytes] = [[], 0];
  }
  if (some.length > 0 || files.length === 0) yield some;
}

function pathsOf(files: readonly LogFile[]): Set<string> {
  return new Set(files.map(({ path }) => path));
}

function datesOf(files: readonly LogFile[]): Map<string, number> {
  return new Map(files.map(({ path, lastModifiedMs }) => [path, lastModifiedMs]));
}

/** Frames that lie one behind the other are read together; refs come file by file. */
function* groupAdjacent(refs: Iterable<LogRef>): Generator<LogRef[]> {
  let inFile: LogRef[] = [];
  for (const ref of refs) {
    if (inFile.length > 0 && ref.path !== inFile[0]?.path) {
      yield* groupInFile(inFile);
      inFile = [];
    }
    inFile.push(ref);
  }
  yield* groupInFile(inFile);
}

function groupInFile(inFile: readonly LogRef[]): LogRef[][] {
  const groups: LogRef[][] = [];
  let group: LogRef[] = [];
  let [end, bytes] = [-1, 0];
  for (const ref of inFile.toSorted((a, b) => (a.range?.offset ?? 0) - (b.range?.offset ?? 0))) {
    const { offset, length } = ref.range ?? { offset: 0, length: 0 };
    if (offset !== end || bytes + length > READ_BYTES_MAX) {
      groups.push((group = []));
      bytes = 0;
    }
    group.push(ref);
    end = offset + length;
    bytes += length;
  }
  return groups;
}

function readFrameAt(ref: LogRef, bytes: Uint8Array | undefined, offset: number): SegmentRead {
  if (bytes === undefined || ref.range === undefined) return { status: "gone", ref };
  const at = ref.range.offset - offset;
  const place = { path: ref.path, offset: ref.range.offset };
  try {
    const segment = decodeSegment(bytes.subarray(at, at + ref.range.length), place);
    return { status: "found", ref, segments: [segment] };
  } catch (error) {
    if (error instanceof CorruptionError) return { status: "corrupt", ref, error };
    throw error;
  }
}
