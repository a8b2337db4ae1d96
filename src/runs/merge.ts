/**
 * Merging of sorted sources: pure, without I/O. Entries travel in batches, because waiting for
 * each of a million entries would cost more than merging them.
 */
import { assert } from "../core/assert.ts";
import { compareText, type Entry, type RunEntry, wins } from "../core/version.ts";
import { StoredLine } from "../format/stored-line.ts";

/** Entries in id order, ascending unless said otherwise, each id once, in batches of any size. */
export type EntryBatches<E extends RunEntry = RunEntry> = AsyncIterable<readonly E[]>;

/** Entries of a source that are taken unread where no other source has an id in between. */
export interface Part {
  /** At or below its first id, and above all that its source gave before. */
  readonly from: string;
  /** Above its last id, and not above what its source gives next. */
  readonly to: string;
  /** All of them, where others lie in between. */
  readonly entries: () => EntryBatches;
}

type Source<E, P> = AsyncIterable<readonly E[] | P>;

/** Whether an id comes before another. */
type IsBefore = (a: string, b: string) => boolean;

const ascending: IsBefore = (a, b) => a < b;
const descending: IsBefore = (a, b) => a > b;

const BATCH_ENTRIES_MAX = 1024;
/** In characters of record text, or bytes of lines: keeps a batch of large records small. */
const BATCH_TEXT_MAX = 16 * 1024;

export interface MergeOptions {
  /** The sources descend. Default: they ascend. */
  readonly reverse?: boolean | undefined;
  /**
   * What is merged is given before more is waited for, for a consumer that may have enough.
   * Default: batches are filled.
   */
  readonly isPrompt?: boolean | undefined;
}

/**
 * One sequence in the order of the sources, with one winner per id. Closes every source, also when
 * it is left early.
 * @throws AssertionError when a source is not in order; what a source throws
 */
export function mergeSorted<E extends RunEntry = RunEntry>(
  sources: readonly EntryBatches<E>[],
  options: MergeOptions = {},
): AsyncGenerator<E[]> {
  return mergeParts<E, never>(sources, options);
}

/** The same of sources that ascend; a part is given whole where nothing of others lies in between. */
export async function* mergeParts<E extends RunEntry, P extends Part>(
  sources: readonly Source<E, P>[],
  { reverse = false, isPrompt = false }: MergeOptions = {},
): AsyncGenerator<E[] | P> {
  const isBefore = reverse ? descending : ascending;
  const cursors = sources.map((source) => new Cursor(source, isBefore));
  try {
    await Promise.all(cursors.map((cursor) => cursor.nextBatch()));
    yield* mergeCursors(cursors, isBefore, isPrompt);
  } finally {
    await Promise.all(cursors.map((cursor) => cursor.close()));
  }
}

/** Sources whose ids follow each other, as one source: each is opened when the one before ends. */
export async function* inTurn<B>(opens: Iterable<() => AsyncIterable<B>>): AsyncGenerator<B> {
  for (const open of opens) yield* open();
}

/** Entries that are sorted already, as a source. */
// eslint-disable-next-line @typescript-eslint/require-await -- the type of a source is async
export async function* fromSorted<E extends RunEntry>(entries: readonly E[]): AsyncGenerator<E[]> {
  for (let start = 0; start < entries.length; start += BATCH_ENTRIES_MAX) {
    yield entries.slice(start, start + BATCH_ENTRIES_MAX);
  }
}

/** A map from id to entry, sorted, as a source. */
export function fromMap(
  entries: ReadonlyMap<string, Entry>,
  { reverse = false }: { readonly reverse?: boolean | undefined } = {},
): EntryBatches {
  const sorted = [...entries].toSorted(([a], [b]) => compareText(a, b));
  if (reverse) sorted.reverse();
  return fromSorted(
    sorted.map(([id, { version, schemaVersion, text }]) => ({ id, version, schemaVersion, text })),
  );
}

async function* mergeCursors<E extends RunEntry, P extends Part>(
  cursors: readonly Cursor<E, P>[],
  isBefore: IsBefore,
  isPrompt: boolean,
): AsyncGenerator<E[] | P> {
  const waiting = cursors.filter((cursor) => !cursor.isDone);
  const heap = new CursorHeap(waiting, isBefore);
  let batch: E[] = [];
  let batchText = 0;
  for (let top = heap.top; top !== undefined; top = heap.top) {
    if (top.part !== undefined) {
      if (heap.isAlone(top.part)) {
        if (batch.length > 0) yield batch;
        [batch, batchText] = [[], 0];
        yield top.part;
        await top.nextBatch();
        heap.restoreTop();
      } else await heap.open(top.part);
      continue;
    }
    let winner = top.entry;
    for (let same: Cursor<E, P> | undefined = top; same?.id === winner.id; same = heap.top) {
      // Its first id is this one, or above it.
      if (same.part !== undefined) {
        await heap.open(same.part);
        continue;
      }
      if (same !== top && wins(same.entry, winner)) winner = same.entry;
      if (!same.advance()) {
        if (isPrompt && batch.length > 0) {
          yield batch;
          [batch, batchText] = [[], 0];
        }
        await same.nextBatch();
      }
      heap.restoreTop();
    }
    batch.push(winner);
    batchText += textLength(winner);
    if (batch.length >= BATCH_ENTRIES_MAX || batchText >= BATCH_TEXT_MAX) {
      yield batch;
      [batch, batchText] = [[], 0];
    }
  }
  if (batch.length > 0) yield batch;
}

function textLength(entry: RunEntry): number {
  return entry instanceof StoredLine ? entry.end - entry.start : (entry.text?.length ?? 0);
}

/** A position in one source: at an entry, or before a part. */
class Cursor<E extends RunEntry, P extends Part> {
  readonly #iterator: AsyncIterator<readonly E[] | P>;
  readonly #isBefore: IsBefore;
  /** Of the part that was opened last. */
  #inside: AsyncIterator<readonly E[]> | undefined;
  #batch: readonly E[] = [];
  #at = 0;
  #entry: E | undefined;
  /** Of the entry; or where the part begins. */
  id = "";
  part: P | undefined;
  isDone = false;

  constructor(source: Source<E, P>, isBefore: IsBefore) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#isBefore = isBefore;
  }

  get entry(): E {
    assert(this.#entry !== undefined, "a cursor without an entry was read");
    return this.#entry;
  }

  /** Moves on inside the batch; `false` when the batch is used up. */
  advance(): boolean {
    return this.#set(this.#at + 1);
  }

  /** Moves to the first entry of the next batch that is not empty, or before the next part. */
  async nextBatch(): Promise<void> {
    this.part = undefined;
    for (;;) {
      const next = await (this.#inside ?? this.#iterator).next();
      if (next.done === true && this.#inside !== undefined) {
        this.#inside = undefined;
        continue;
      }
      if (next.done === true) {
        this.isDone = true;
        return;
      }
      if (isPart(next.value)) {
        this.part = next.value;
        this.id = next.value.from;
        return;
      }
      this.#batch = next.value;
      if (this.#set(0)) return;
    }
  }

  /** Moves to the first entry of the part. */
  async open(): Promise<void> {
    this.#inside = this.part?.entries()[Symbol.asyncIterator]() as AsyncIterator<readonly E[]>;
    await this.nextBatch();
  }

  async close(): Promise<void> {
    await this.#inside?.return?.();
    if (!this.isDone) await this.#iterator.return?.();
  }

  #set(at: number): boolean {
    const entry = this.#batch[at];
    if (entry === undefined) return false;
    const before = this.#entry?.id;
    const isNext = before === undefined || this.#isBefore(before, entry.id);
    assert(isNext, `a source is not in order at '${entry.id}'`);
    this.#entry = entry;
    this.id = entry.id;
    this.#at = at;
    return true;
  }
}

function isPart<P extends Part>(batch: readonly unknown[] | P): batch is P {
  return !Array.isArray(batch);
}

/** Binary heap by the id of each cursor's entry. */
class CursorHeap<E extends RunEntry, P extends Part> {
  #cursors: Cursor<E, P>[];
  readonly #isBefore: IsBefore;

  constructor(cursors: readonly Cursor<E, P>[], isBefore: IsBefore) {
    this.#isBefore = isBefore;
    this.#cursors = this.#sorted(cursors);
  }

  /** A sorted array is a heap. */
  #sorted(cursors: readonly Cursor<E, P>[]): Cursor<E, P>[] {
    const isBefore = this.#isBefore;
    return cursors.toSorted((a, b) => {
      const [x, y] = [a.id, b.id];
      return isBefore(x, y) ? -1 : x === y ? 0 : 1;
    });
  }

  /** Opens the top's part and those that begin within it, at once: each waits for its source. */
  async open({ to }: Part): Promise<void> {
    const opened = this.#cursors.filter(({ part, id }) => part !== undefined && id < to);
    await Promise.all(opened.map((cursor) => cursor.open()));
    this.#cursors = this.#sorted(this.#cursors.filter(({ isDone }) => !isDone));
  }

  get top(): Cursor<E, P> | undefined {
    return this.#cursors[0];
  }

  /** Whether no other source has anything below the end of the top's part. */
  isAlone({ to }: Part): boolean {
    return this.#cursors.slice(1, 3).every(({ id }) => id >= to);
  }

  /** Sinks the top to its place after it moved on, or removes it when it is done. */
  restoreTop(): void {
    const cursors = this.#cursors;
    if (cursors[0]?.isDone === true) {
      const last = cursors.pop();
      if (last === undefined || cursors.length === 0) return;
      cursors[0] = last;
    }
    const sinking = cursors[0];
    if (sinking === undefined) return;
    const { id } = sinking;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      const leftId = cursors[left]?.id;
      const rightId = cursors[right]?.id;
      if (leftId === undefined) break;
      const least = rightId !== undefined && this.#isBefore(rightId, leftId) ? right : left;
      const lower = cursors[least];
      if (lower === undefined || !this.#isBefore(lower.id, id)) break;
      cursors[at] = lower;
      at = least;
    }
    cursors[at] = sinking;
  }
}
