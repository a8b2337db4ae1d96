/**
 * Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010): each task has a random
 * priority, the highest goes first, and at d - 1 random steps the task that is about to run falls
 * below all others. A defect that needs d events in one order is found with a probability that does
 * not fall with the product of all choices, as it does where each is drawn by itself.
 *
 * Time goes on here, and what is asked for is given up at a deadline. So the highest priority counts
 * among events that are due within a window: whatever is due is held back by no more than that.
 */
import type { Prng } from "./prng.ts";

/** Bounds of d. */
const DEPTH_MIN = 2;
const DEPTH_MAX = 5;
/** How many steps a run is taken for. A change after its end is none: the lesser half of the runs has fewer. */
const STEPS = [500, 2_000, 6_000] as const;
/** Below, at, and above what most requests and graces take. */
const WINDOWS_MS = [200, 1_000, 4_000] as const;

export class Priorities {
  /** An event is held back for so long at most. */
  readonly windowMs: number;
  readonly #depth: number;
  readonly #prng: Prng;
  /** Steps at which a task falls, the earliest first. */
  readonly #changes: readonly number[];
  /** From 1 to 2 as drawn; below 1 those that fell, the last one lowest. */
  readonly #priorities = new Map<string, number>();
  #steps = 0;
  #fallen = 0;

  /** @param prng of nothing else: what other parts of a run draw does not depend on it */
  constructor(prng: Prng) {
    this.#prng = prng;
    this.windowMs = prng.pick(WINDOWS_MS);
    this.#depth = prng.between(DEPTH_MIN, DEPTH_MAX);
    const steps = prng.pick(STEPS);
    const changes = Array.from({ length: this.#depth - 1 }, () => prng.between(1, steps));
    this.#changes = changes.toSorted((a, b) => a - b);
  }

  /** What belongs to no task is never held back by one. */
  of(task: string | undefined): number {
    if (task === undefined) return Infinity;
    let priority = this.#priorities.get(task);
    if (priority === undefined) this.#priorities.set(task, (priority = 1 + this.#prng.random()));
    return priority;
  }

  /** A task is about to run. True: it falls, and others may be before it. */
  falls(task: string | undefined): boolean {
    if (task === undefined) return false;
    this.#steps++;
    const change = this.#changes[this.#fallen];
    if (change === undefined || this.#steps < change) return false;
    this.#priorities.set(task, 1 / (2 + ++this.#fallen));
    return true;
  }

  /** As the trace tells it. */
  describe(): string {
    const changes = this.#changes.join(", ");
    return `PCT, d = ${this.#depth}, window ${this.windowMs} ms, changes at steps ${changes}`;
  }
}
