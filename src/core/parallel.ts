/** Bounded parallelism, because a socket pool and a file table are bounded. */
import { append } from "./bulk.ts";

/**
 * Maps with at most `limit` calls under way; results in the order of `items`. After a failure no
 * further call starts, the running ones are awaited, and the first failure is thrown.
 */
export async function mapParallel<T, R>(
  items: readonly T[],
  limit: number,
  map: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const rest = items.entries();
  const failures: unknown[] = [];
  const work = async (): Promise<void> => {
    // The workers share one iterator, so each item is taken once.
    for (const [at, item] of rest) {
      if (failures.length > 0) return;
      try {
        results[at] = await map(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work));
  if (failures.length > 0) throw failures[0];
  return results;
}

/** A call that leads to an item, and to further calls. */
export type Source<T> = () => Promise<{
  readonly item?: T | undefined;
  readonly rest: readonly Source<T>[];
}>;

/**
 * The items of sources and of those that these lead to, in the order of arrival. What a source leads
 * to is called when its item is taken. The first failure is thrown when its turn comes; left early,
 * this awaits the calls that are under way.
 * @param aheadMax of items that are under way, or have arrived and were not taken
 */
export async function* asTheyBranch<T>(
  sources: readonly Source<T>[],
  aheadMax = Infinity,
): AsyncGenerator<T, void> {
  const waiting = [...sources];
  const arrived: (() => Awaited<ReturnType<Source<T>>>)[] = [];
  const underWay = new Set<Promise<void>>();
  const begin = (): void => {
    if (underWay.size + arrived.length >= aheadMax) return;
    const source = waiting.shift();
    if (source === undefined) return;
    const ended: Promise<void> = source()
      .then(
        (found) => arrived.push(() => found),
        (error: unknown) =>
          arrived.push(() => {
            throw error;
          }),
      )
      .then(() => void underWay.delete(ended));
    underWay.add(ended);
    begin();
  };
  try {
    begin();
    while (arrived.length > 0 || underWay.size > 0) {
      const next = arrived.shift();
      if (next === undefined) {
        await Promise.race(underWay);
        continue;
      }
      const { item, rest } = next();
      append(waiting, rest);
      begin();
      if (item !== undefined) yield item;
    }
  } finally {
    await Promise.all(underWay);
  }
}

/**
 * The items of several sources, in the order of arrival: each is read one item ahead. The first failure is
 * thrown when its turn comes; every source is closed, also when this is left early.
 * @param aheadMax as of `asTheyBranch`
 */
export async function* asTheyCome<T>(
  sources: readonly AsyncIterable<T>[],
  aheadMax?: number,
): AsyncGenerator<T, void> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  const read = (from: AsyncIterator<T>): Source<T> => {
    return async () => {
      const { done, value } = await from.next();
      return done === true ? { rest: [] } : { item: value, rest: [read(from)] };
    };
  };
  try {
    yield* asTheyBranch(iterators.map(read), aheadMax);
  } finally {
    await Promise.allSettled(iterators.map(async (iterator) => iterator.return?.()));
  }
}
