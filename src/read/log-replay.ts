/**
 * The operations of a view's live segments in version order, with memory bounded by what overlaps:
 * segments are read in windows by their lowest clock, the next window while one is worked on.
 */
import { append } from "../core/bulk.ts";
import { CorruptionError } from "../core/errors.ts";
import type { LogOperation } from "../core/operation.ts";
import {
  compareVersions,
  operationKey,
  ResidentEntry,
  type Version,
  wins,
} from "../core/version.ts";
import { openSegments } from "../format/segment-decoder.ts";
import { type Segment, versionOf } from "../format/segment.ts";
import { readSegmentBytes, type LogRef } from "../log/log.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { isClaim } from "../log/claims.ts";
import type { View } from "../view/view.ts";
import { SegmentReader, type SegmentSources } from "./segment-reader.ts";

/** What the header of its segment holds of an operation. */
export type Origin = Pick<Segment, "agent" | "writerNonce" | "schemaVersion">;

export interface LiveOperation {
  readonly segment: Origin;
  readonly operation: LogOperation;
  readonly version: Version;
}

/** What the operation leaves of its record. */
export function entryOf({ segment, operation, version }: LiveOperation): ResidentEntry {
  return new ResidentEntry(version, segment.schemaVersion, operation.data);
}

/** What a cloned process wrote at one and the same version comes in the order of the merge. */
function compareOperations(a: LiveOperation, b: LiveOperation): number {
  const order = compareVersions(a.version, b.version);
  if (order !== 0) return order;
  const [one, other] = [entryOf(a), entryOf(b)];
  return wins(one, other) ? 1 : wins(other, one) ? -1 : 0;
}

/** A segment as far as its operations were taken; a large one is decoded as they are. */
interface OpenSegment {
  readonly key: string;
  readonly origin: Origin;
  readonly rest: Iterator<LogOperation>;
  /** No operation to come has a lower clock. */
  nextClock: number;
  /** Its operations are in the order in which they were made, not of their clocks. */
  readonly isClaim: boolean;
}

/** No operation has a lower clock. Names of claims do not show theirs. */
function lowestOf({ lo, claim }: LogRef): number {
  return claim === undefined ? lo : 0;
}

/** Taken of a segment at a time. */
const TAKEN_MAX = 64;
type Reading = Promise<PromiseSettledResult<OpenSegment[]>[]>;

/** Of a window; parsed, operations take a few times as much. A larger segment is never held parsed. */
const WINDOW_BYTES_MAX = 128 * 1024;
/** A log of up to so many bytes is read once and held, a larger one is read twice. */
const HELD_BYTES_MAX = 2 * 1024 * 1024;

export class LiveOperations {
  readonly #backend: StorageBackend;
  readonly #reader: SegmentReader;
  /** By their lowest clock. */
  readonly #refs: readonly LogRef[];
  readonly #onCorrupt: (error: CorruptionError) => void;
  readonly #holds: boolean;
  readonly #held = new Map<string, readonly Segment[]>();
  readonly #undone = new Set<string>();
  readonly #undos = new Map<string, number>();
  readonly #gone = new Set<string>();
  readonly #unreadable = new Set<string>();

  constructor(engine: SegmentSources, view: View, onCorrupt: (error: CorruptionError) => void) {
    this.#backend = engine.backend;
    this.#reader = new SegmentReader(engine, view, {
      held: (key) => this.#held.get(key),
      onCorrupt,
    });
    const refs = view.segments;
    this.#refs = refs.toSorted((a, b) => lowestOf(a) - lowestOf(b));
    this.#onCorrupt = onCorrupt;
    this.#holds = bytesOf(refs) <= HELD_BYTES_MAX;
  }

  /** Segments that a compaction has deleted since they were listed: what was read ends there. */
  get gone(): ReadonlySet<string> {
    return this.#gone;
  }

  /** Whether an operation of a live segment undoes this one; known after `survey`. */
  isUndone({ operation, version }: LiveOperation): boolean {
    return this.#undone.has(operationKey(operation.id, version));
  }

  /** By id: how many undos there are; known after `survey`. */
  get undos(): ReadonlyMap<string, number> {
    return this.#undos;
  }

  /** Reads the log once, to find what is undone before the first operation is returned. */
  async survey(): Promise<void> {
    for await (const { segments } of this.#windows()) {
      for (const segment of segments) this.#surveySegment(segment);
      if (this.#gone.size > 0) return;
    }
  }

  #surveySegment({ key, rest }: OpenSegment): void {
    try {
      for (let next = rest.next(); next.done !== true; next = rest.next()) {
        const { id, undoes } = next.value;
        if (undoes === undefined) continue;
        this.#undone.add(operationKey(id, undoes));
        this.#undos.set(id, (this.#undos.get(id) ?? 0) + 1);
      }
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      // As a whole, like any other segment.
      this.#onCorrupt(error);
      this.#unreadable.add(key);
    }
  }

  /** In version order, in batches; ends before the first operation of a segment that is gone. */
  async *inOrder(): AsyncGenerator<LiveOperation[]> {
    let waiting: LiveOperation[] = [];
    let open: OpenSegment[] = [];
    for await (const { segments, nextLo } of this.#windows()) {
      if (this.#gone.size > 0) return;
      for (const segment of segments) {
        take(segment, waiting);
        open.push(segment);
      }
      for (;;) {
        open = open.filter(({ nextClock }) => nextClock < Infinity);
        const bound = open.reduce((least, { nextClock }) => Math.min(least, nextClock), nextLo);
        waiting.sort(compareOperations);
        const next = waiting.findIndex(({ version }) => version.clock >= bound);
        const end = next < 0 ? waiting.length : next;
        if (end > 0) yield waiting.slice(0, end);
        waiting = waiting.slice(end);
        if (bound >= nextLo) break;
        for (const segment of open) if (segment.nextClock <= bound) take(segment, waiting);
      }
    }
  }

  /** `nextLo`: no operation of a later window has a lower clock. */
  async *#windows(): AsyncGenerator<{ segments: OpenSegment[]; nextLo: number }> {
    const windows = cutWindows(this.#refs);
    // A read ahead may fail before it is awaited: its outcome is kept as a value.
    const start = (at: number): Reading => Promise.allSettled([this.#read(windows[at] ?? [])]);
    let ahead: Reading | undefined;
    try {
      for (let at = 0; at < windows.length; at++) {
        const [outcome] = await (ahead ?? start(at));
        const next = windows[at + 1] ?? [];
        // One large segment is enough to hold.
        ahead = bytesOf(next) <= WINDOW_BYTES_MAX ? start(at + 1) : undefined;
        if (outcome?.status === "rejected") throw outcome.reason;
        if (outcome !== undefined)
          yield { segments: outcome.value, nextLo: next[0] ? lowestOf(next[0]) : Infinity };
      }
    } finally {
      await ahead;
    }
  }

  async #read(refs: readonly LogRef[]): Promise<OpenSegment[]> {
    const segments: OpenSegment[] = [];
    const whole: LogRef[] = [];
    for (const ref of refs) {
      const isSmall = ref.bytes <= WINDOW_BYTES_MAX || isClaim(ref);
      if (isSmall || this.#reader.held(ref) !== undefined) whole.push(ref);
      else if (!this.#unreadable.has(ref.key)) append(segments, await this.#readLarge(ref));
    }
    const gone = await this.#reader.read(whole, (ref, found) => {
      const { key } = ref;
      if (this.#holds) this.#held.set(key, found);
      for (const origin of found) {
        const rest = origin.operations.values();
        segments.push({ key, origin, rest, nextClock: lowestOf(ref), isClaim: isClaim(ref) });
      }
    });
    for (const key of gone) this.#gone.add(key);
    return segments;
  }

  /** As `Log.read` does, but decoded as it is taken. */
  async #readLarge(ref: LogRef): Promise<OpenSegment[]> {
    const bytes = await readSegmentBytes(this.#backend, ref);
    if (bytes === undefined) {
      this.#gone.add(ref.key);
      return [];
    }
    try {
      return openSegments(bytes, ref).map(({ header, operations }) => {
        return {
          key: ref.key,
          origin: header,
          rest: operations,
          nextClock: header.lo,
          isClaim: false,
        };
      });
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.#onCorrupt(error);
      return [];
    }
  }
}

function take(segment: OpenSegment, taken: LiveOperation[]): void {
  const { origin, rest } = segment;
  for (let count = 0; count < TAKEN_MAX || segment.isClaim; count++) {
    const next = rest.next();
    if (next.done === true) {
      segment.nextClock = Infinity;
      return;
    }
    const operation = next.value;
    taken.push({ segment: origin, operation, version: versionOf(origin, operation) });
    segment.nextClock = operation.clock + 1;
  }
}

function bytesOf(refs: readonly LogRef[]): number {
  return refs.reduce((sum, { bytes }) => sum + bytes, 0);
}

function cutWindows(refs: readonly LogRef[]): LogRef[][] {
  const windows: LogRef[][] = [];
  let room = 0;
  for (const ref of refs) {
    if (windows.length === 0 || ref.bytes > room) {
      windows.push([]);
      room = WINDOW_BYTES_MAX;
    }
    windows.at(-1)?.push(ref);
    room -= ref.bytes;
  }
  return windows;
}
