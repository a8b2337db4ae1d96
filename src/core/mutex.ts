/** Runs one task at a time, in the order of the calls. */
export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task, task);
    // The next task waits for this one whatever became of it; its failure is its caller's.
    this.#tail = result.catch(() => undefined);
    return result;
  }
}
