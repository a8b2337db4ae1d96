/** Bounds how many calls are under way at once; the others wait their turn. */
import { Queue } from "./queue.ts";

export class Limiter {
  #free: number;
  readonly #waiting = new Queue<() => void>();

  constructor(limit: number) {
    this.#free = limit;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.add(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.take();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
