/**
 * The logical clock of the original, for programs that import it. The engine does not use it: its
 * clock follows from the view (PROTOCOL, "Write").
 */
export class LamportClock {
  #current: number;

  constructor(initial = 0) {
    this.#current = initial;
  }

  /** The value of the last event. */
  get current(): number {
    return this.#current;
  }

  /** Counts an event of one's own. @returns its value */
  tick(): number {
    this.#current += 1;
    return this.#current;
  }

  /** Counts the receipt of an event of another's. @returns a value above both clocks */
  merge(received: number): number {
    this.#current = Math.max(this.#current, received) + 1;
    return this.#current;
  }
}
