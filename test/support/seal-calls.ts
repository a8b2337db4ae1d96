/**
 * Whether a call is that of one of the 256 seals that a purge waits for: those of the first and of the
 * last lane stand for the others, which are made as they are.
 * @param call with the path of an object
 */
export function isRepeatedSeal(call: string): boolean {
  return /\/lane-(?!00|ff)[0-9a-f]{2}\//.test(call);
}
