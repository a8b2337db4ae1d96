/** Bounded parallelism, because a socket pool and a file table are. */

/** Runs `work` on every item, at most `limit` at once; rejects with the first failure. */
export async function forEachParallel<T>(
  items: readonly T[],
  limit: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (;;) {
      const index = next++;
      const item = items[index];
      if (index >= items.length || item === undefined) return;
      await work(item, index);
    }
  };
  const workers = Array.from({ length: Math.min(limit, items.length) }, worker);
  try {
    await Promise.all(workers);
  } catch (error) {
    next = items.length;
    await Promise.allSettled(workers);
    throw error;
  }
}
