/** Calls under way at once: Node has four threads for them. */
const PARALLEL = 8;

/** Runs `work` for every item, a bounded number at once; the first failure ends it. */
export async function forEachParallel<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, items.length) }, worker));
}
