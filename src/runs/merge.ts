/**
 * Merging of sorted sources: pure, without I/O. Entries travel in batches, because waiting for
 * each of a million entries would cost more than merging them.
 */
import { assert } from "../core/assert.ts";
import { compareText, type Entry, type RunEntry, wins } from "../core/version.ts";
import { StoredLine } from "../format/stored-line.ts";

/** Entries in id order, ascending unless said otherwise, each id once, in batches of any size. */
export type EntryBatches<E extends RunEntry = RunEntry> = AsyncIterable<readonly E[]>;

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
export async function* mergeSorted<E extends RunEntry = RunEntry>(
  sources: readonly EntryBatches<E>[],
  { reverse = false, isPrompt = false }: MergeOptions = {},
): AsyncGenerator<E[]> {
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
export async function* inTurn<E extends RunEntry>(
  opens: Iterable<() => EntryBatches<E>>,
): AsyncGenerator<readonly E[]> {
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

async function* mergeCursors<E extends RunEntry>(
  cursors: readonly Cursor<E>[],
  isBefore: IsBefore,
  isPrompt: boolean,
): AsyncGenerator<E[]> {
  const waiting = cursors.filter((cursor) => !cursor.isDone);
  const heap = new CursorHeap(waiting, isBefore);
  let batch: E[] = [];
  let batchText = 0;
  for (let top = heap.top; top !== undefined; top = heap.top) {
    let winner = top.entry;
    for (let same: Cursor<E> | undefined = top; same?.entry.id === winner.id; same = heap.top) {
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
    batchText += winner instanceof StoredLine ? winner.end - winner.start : textLength(winner);
    if (batch.length >= BATCH_ENTRIES_MAX || batchText >= BATCH_TEXT_MAX) {
      yield batch;
      batch = [];
      batchText = 0;
    }
  }
  if (batch.length > 0) yield batch;
}

function textLength({ text }: RunEntry): number {
  return text?.length ?? 0;
}

/** A position in one source. */
class Cursor<E extends RunEntry> {
  readonly #iterator: AsyncIterator<readonly E[]>;
  readonly #isBefore: IsBefore;
  #batch: readonly E[] = [];
  #at = 0;
  #entry: E | undefined;
  isDone = false;

  constructor(source: EntryBatches<E>, isBefore: IsBefore) {
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

  /** Moves to the first entry of the next batch that is not empty. */
  async nextBatch(): Promise<void> {
    for (;;) {
      const next = await this.#iterator.next();
      if (next.done === true) {
        this.isDone = true;
        return;
      }
      this.#batch = next.value;
      if (this.#set(0)) return;
    }
  }

  async close(): Promise<void> {
    if (!this.isDone) await this.#iterator.return?.();
  }

  #set(at: number): boolean {
    const entry = this.#batch[at];
    if (entry === undefined) return false;
    const before = this.#entry?.id;
    const isNext = before === undefined || this.#isBefore(before, entry.id);
    assert(isNext, `a source is not in order at '${entry.id}'`);
    this.#entry = entry;
    this.#at = at;
    return true;
  }
}

/** Binary heap by the id of each cursor's entry. */
class CursorHeap<E extends RunEntry> {
  readonly #cursors: Cursor<E>[];
  readonly #isBefore: IsBefore;

  constructor(cursors: readonly Cursor<E>[], isBefore: IsBefore) {
    this.#isBefore = isBefore;
    // A sorted array is a heap.
    this.#cursors = cursors.toSorted((a, b) => {
      const [x, y] = [a.entry.id, b.entry.id];
      return isBefore(x, y) ? -1 : x === y ? 0 : 1;
    });
  }

  get top(): Cursor<E> | undefined {
    return this.#cursors[0];
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
    const { id } = sinking.entry;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      const leftId = cursors[left]?.entry.id;
      const rightId = cursors[right]?.entry.id;
      if (leftId === undefined) break;
      const least = rightId !== undefined && this.#isBefore(rightId, leftId) ? right : left;
      const lower = cursors[least];
      if (lower === undefined || !this.#isBefore(lower.entry.id, id)) break;
      cursors[at] = lower;
      at = least;
    }
    cursors[at] = sinking;
  }
}
