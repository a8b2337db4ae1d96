/** Lists the log of an object store, in parts where that is quicker (V1). */
import { asTheyBranch, asTheyCome, type Source } from "../core/parallel.ts";
import { LOG_PREFIX } from "../format/paths.ts";
import type { ListPage, StorageBackend } from "../storage/backend.ts";
import { isFilledLegacyLog, type LogPart } from "./log.ts";
import {
  isBefore,
  isWithin,
  type LogRange,
  rangesBehind,
  shardBehind,
  shardsOf,
  shardStart,
  SHARDS,
  WHOLE_LOG,
} from "./log-ranges.ts";

export interface ListLogOptions {
  /** Default: the whole log. */
  readonly part?: LogPart | undefined;
  /** Of pages that are under way, or wait to be taken. Default: as many as there are parts. */
  readonly aheadMax?: number;
}

/** Pages in the order of arrival, the first one first; at least one. */
export async function* listLog(
  backend: StorageBackend,
  { part, aheadMax }: ListLogOptions = {},
): AsyncGenerator<ListPage, void> {
  if (part !== undefined) {
    yield* asTheyCome(listShards(backend, shardsOf(part)), aheadMax);
    return;
  }
  const listing = new PartedListing(backend, aheadMax);
  try {
    yield* listing.pages();
  } finally {
    await listing.close();
  }
}

class PartedListing {
  readonly #backend: StorageBackend;
  readonly #aheadMax: number | undefined;
  readonly #opened: AsyncIterator<ListPage>[] = [];
  /** Where a decorator drops the option, parts only repeat each other. */
  #ignoresAfter = false;

  constructor(backend: StorageBackend, aheadMax: number | undefined) {
    this.#backend = backend;
    this.#aheadMax = aheadMax;
  }

  async *pages(): AsyncGenerator<ListPage, void> {
    const pages = this.#list();
    const { value: first } = await pages.next();
    if (first?.truncated !== true) {
      yield first ?? { objects: [], truncated: false, dateMs: 0 };
    } else if (this.#backend.listsInOrder === true && isInOrder(first)) {
      yield first;
      yield* asTheyBranch(this.#behind(WHOLE_LOG, first, pages), this.#aheadMax);
    } else {
      // A legacy log lies in no shard; its date is the one that the listing began.
      yield { ...first, objects: first.objects.filter(isFilledLegacyLog) };
      yield* asTheyCome(listShards(this.#backend, SHARDS), this.#aheadMax);
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#opened.map(async (pages) => pages.return?.()));
  }

  #list(after?: string): AsyncIterator<ListPage> {
    const pages = this.#backend.list(LOG_PREFIX, { after })[Symbol.asyncIterator]();
    this.#opened.push(pages);
    return pages;
  }

  /** What remains of a range after a page. @param pages what follows the page */
  #behind(
    range: LogRange,
    { objects, truncated }: ListPage,
    pages: AsyncIterator<ListPage>,
  ): Source<ListPage>[] {
    const last = objects.at(-1)?.path;
    if (!truncated) return [];
    // Also where no path can name what the page holds.
    if (last === undefined || this.#ignoresAfter) return [this.#part(range, pages)];
    const shard = shardBehind(last);
    return rangesBehind(range, last).map((part, n) => {
      if (n > 0) return this.#part(part, this.#list(shardStart(part.from)));
      const start = shardStart(shard);
      if (start <= last) return this.#part(part, pages);
      // Names between two shards are not of this format, and are passed over.
      return this.#part({ ...part, from: shard, pages: 0 }, this.#list(start));
    });
  }

  #part(range: LogRange, pages: AsyncIterator<ListPage>): Source<ListPage> {
    return async () => {
      const { done, value: page } = await pages.next();
      if (done === true) return { rest: [] };
      const [first, last] = [page.objects[0]?.path ?? "", page.objects.at(-1)?.path ?? ""];
      this.#ignoresAfter ||= page.objects.length > 0 && isBefore(range, first);
      const isInside = !this.#ignoresAfter && isWithin(range, first) && isWithin(range, last);
      const objects = page.objects.filter(({ path }) => isInside || isWithin(range, path));
      return { item: { ...page, objects }, rest: this.#behind(range, page, pages) };
    };
  }
}

function listShards(backend: StorageBackend, shards: readonly string[]): AsyncIterable<ListPage>[] {
  return shards.map((shard) => backend.list(`${LOG_PREFIX}${shard}/`));
}

function isInOrder({ objects }: ListPage): boolean {
  return objects.every(({ path }, n) => n === 0 || (objects[n - 1]?.path ?? "") < path);
}
