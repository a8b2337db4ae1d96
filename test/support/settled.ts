/** What became of several promises. */
export async function settledIn<T>(
  promises: readonly Promise<T>[],
): Promise<{ readonly fulfilled: readonly T[]; readonly rejected: readonly unknown[] }> {
  const settled = await Promise.allSettled(promises);
  return {
    fulfilled: settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : [])),
    rejected: settled.flatMap((one): unknown[] => (one.status === "rejected" ? [one.reason] : [])),
  };
}
