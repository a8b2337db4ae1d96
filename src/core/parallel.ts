/** Bounded parallelism, because a socket pool and a file table are bounded. */

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
