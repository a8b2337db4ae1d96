/** How the cost of work grows with its size, without a time that a slow machine could miss. */

/** Of the larger size: linear work takes about 8 times as long, quadratic work 64 times. */
const FACTOR = 8;
/** Far from both: a machine that is busy with other things, or collects garbage, decides nothing. */
export const LINEAR_MAX = 32;
const REPEATS = 2;

/**
 * CPU time of `work` at 8 x `size` over that at `size`; the least of a few tries counts.
 * @param work does what is measured, on input that it makes itself
 */
export async function growthOf(size: number, work: (size: number) => unknown): Promise<number> {
  await work(size);
  const least = async (of: number): Promise<number> => {
    let leastUs = Infinity;
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      const before = process.cpuUsage();
      await work(of);
      const { user, system } = process.cpuUsage(before);
      leastUs = Math.min(leastUs, user + system);
    }
    return leastUs;
  };
  const small = await least(size);
  return (await least(FACTOR * size)) / small;
}
