/** How the cost of work grows with its size, without a time that a slow machine could miss. */

/** Of the larger size: linear work takes about 8 times as long, quadratic work 64 times. */
const FACTOR = 8;
/** Far from both. */
export const LINEAR_MAX = 32;
/** The rest of the process and its threads only add time, so the least of many tries has none. */
const ROUNDS_MAX = 20;
/** Of the smaller size in a round, whose time is the easier to disturb. */
const SMALL_TRIES = 3;

/**
 * CPU time of `work` at 8 x `size` over that at `size`, each the least of its tries. It is tried
 * until the answer is below `LINEAR_MAX`, at most 20 times: what is quadratic stays above.
 * @param work does what is measured, on input that it makes itself
 */
export async function growthOf(size: number, work: (size: number) => unknown): Promise<number> {
  await work(size);
  let [small, large] = [Infinity, Infinity];
  for (let round = 0; round < ROUNDS_MAX && !(large / small < LINEAR_MAX); round++) {
    for (let n = 0; n < SMALL_TRIES; n++) small = Math.min(small, await cpuUs(() => work(size)));
    large = Math.min(large, await cpuUs(() => work(FACTOR * size)));
  }
  return large / small;
}

async function cpuUs(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return Math.max(1, user + system);
}
