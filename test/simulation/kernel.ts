/**
 * Virtual time: a queue of events and nothing else that can make anything happen. Between two
 * events every microtask is drained, so which completion comes before which is decided by the
 * queue, and the queue by the seed.
 */
import { createHash } from "node:crypto";

interface Event {
  readonly atMs: number;
  /** Events of one moment happen in the order they were scheduled. */
  readonly order: number;
  readonly run: () => void;
  readonly timer: Timer | undefined;
}

/** Of an event that may be called off. */
export interface Timer {
  isOff: boolean;
}

const TRACE_LINES_MAX = 400;
/** Hashed at once: a call for each line costs more than its bytes. */
const HASHED_CHARS_MIN = 16_384;

export class Kernel {
  readonly #heap: Event[] = [];
  readonly #hash = createHash("sha256");
  #tail: string[] = [];
  #unhashed = "";
  #nowMs = 0;
  #scheduled = 0;
  #events = 0;

  /** ms since the simulation began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events run so far. */
  get events(): number {
    return this.#events;
  }

  /** Adds a line to the trace: what the run's hash is made of. */
  trace(line: string): void {
    const stamped = `${this.#nowMs.toFixed(0).padStart(8)} ${line}`;
    this.#unhashed += stamped;
    if (this.#unhashed.length > HASHED_CHARS_MIN) this.#hashRest();
    this.#tail.push(stamped);
    if (this.#tail.length >= 2 * TRACE_LINES_MAX) this.#tail = this.#tail.slice(-TRACE_LINES_MAX);
  }

  /** The last lines of the trace. */
  get tail(): readonly string[] {
    return this.#tail.slice(-TRACE_LINES_MAX);
  }

  /** Hash of the whole trace; ends it. */
  digest(): string {
    this.#hashRest();
    return this.#hash.digest("hex");
  }

  #hashRest(): void {
    this.#hash.update(this.#unhashed);
    this.#unhashed = "";
  }

  /** Schedules an event `delayMs` from now. */
  after(delayMs: number, run: () => void, timer?: Timer): void {
    this.#push({ atMs: this.#nowMs + Math.max(0, delayMs), order: this.#scheduled++, run, timer });
  }

  /** Runs events until none is left before `untilMs`, or `isDone`; then it is `untilMs`. */
  run(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = (): void => {
        try {
          if (isDone() || !this.#runNext(untilMs)) resolve();
          else afterMicrotasks(step);
        } catch (error) {
          reject(error);
        }
      };
      afterMicrotasks(step);
    });
  }

  /** False: there is no event until then. */
  #runNext(untilMs: number): boolean {
    while (this.#heap[0]?.timer?.isOff === true) this.#pop();
    const next = this.#heap[0];
    if (next === undefined || next.atMs > untilMs) {
      this.#nowMs = untilMs;
      return false;
    }
    this.#pop();
    this.#nowMs = next.atMs;
    this.#events++;
    next.run();
    return true;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(event, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]];
      if (left === undefined) break;
      const isRight = right !== undefined && isBefore(right, left);
      const least = isRight ? right : left;
      if (!isBefore(least, last)) break;
      heap[at] = least;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

const SETTLED = Promise.resolve();

/** Ticks that a microtask asks for run when no microtask is left. */
function afterMicrotasks(step: () => void): void {
  void SETTLED.then(() => process.nextTick(step));
}
