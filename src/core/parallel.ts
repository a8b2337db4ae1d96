/** Bounded parallelism, because a socket pool and a file table are bounded. */
import { Deferred } from "./deferred.ts";

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

/**
 * The items of several sources, in the order of arrival: each is read one item ahead. The first failure is
 * thrown when its turn comes; every source is closed, also when this is left early.
 */
export async function* asTheyCome<T>(
  sources: readonly AsyncIterable<T>[],
): AsyncGenerator<T, void> {
  interface Arrival {
    readonly from: AsyncIterator<T>;
    readonly outcome: PromiseSettledResult<IteratorResult<T>> | undefined;
  }
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  const arrived: Arrival[] = [];
  /** Settled by the next arrival. */
  let change = new Deferred();
  let underWay = 0;
  const ask = async (from: AsyncIterator<T>): Promise<void> => {
    underWay++;
    const [outcome] = await Promise.allSettled([from.next()]);
    underWay--;
    arrived.push({ from, outcome });
    change.resolve();
  };
  try {
    for (const iterator of iterators) void ask(iterator);
    for (;;) {
      const next = arrived.shift();
      if (next === undefined) {
        if (underWay === 0) return;
        await change.promise;
        change = new Deferred();
        continue;
      }
      const { from, outcome } = next;
      if (outcome?.status === "rejected") throw outcome.reason;
      if (outcome === undefined || outcome.value.done === true) continue;
      void ask(from);
      yield outcome.value.value;
    }
  } finally {
    await Promise.allSettled(iterators.map(async (iterator) => iterator.return?.()));
  }
}
