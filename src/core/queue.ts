/** First in, first out. `shift` of a long array moves all of it at each call; this does not. */
export class Queue<T> {
  #items: T[] = [];
  /** Items before this one were taken. */
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  add(item: T): void {
    this.#items.push(item);
  }

  /** Undefined when there is none. */
  take(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head++];
    // What was taken is let go of when it is half of what is held, so that each item moves once.
    if (2 * this.#head >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
