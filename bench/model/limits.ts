/** What the model repeats of the engine, and of how it sends requests. */

/** As in `merge-step.ts`. */
export const ATTEMPTS_MAX = 50;
/** As in `createCompactor`. */
export const MARGIN_MS = 5_000;
export const REMAINING_MIN_MS = 20_000;
export const PASSES_MAX = 50;
/** As in `compactor.ts`. */
export const COUNTED_MAX = 200_000;
export const LOOK_SHARE = 1 / 8;

/** Requests of a step that wait for each other, before the manifest: run, index, list. */
export const WRITE_REQUESTS = 3;
/** Of a page of a LIST. */
export const PAGE_KEYS = 1_000;
/** How many objects are read at once. */
export const PARALLEL = 16;
