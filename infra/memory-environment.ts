/**
 * What a pass takes is bounded, and V8 and glibc keep more than that unless they are told (DECISIONS):
 * a small young generation, an old one that leaves most of the memory to buffers, large buffers that go
 * back to the system, and one arena for all threads.
 */

/** Of glibc. */
export const MALLOC_ENVIRONMENT = {
  MALLOC_ARENA_MAX: "1",
  MALLOC_MMAP_THRESHOLD_: "65536",
  MALLOC_TRIM_THRESHOLD_: "131072",
};

/** Of a compactor's function with so much memory. */
export function memoryEnvironment(memoryMb: number): Record<string, string> {
  const heapMb = Math.floor(memoryMb / 4);
  const NODE_OPTIONS = `--max-semi-space-size=2 --max-old-space-size=${heapMb}`;
  return { NODE_OPTIONS, ...MALLOC_ENVIRONMENT };
}
