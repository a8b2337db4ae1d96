/**
 * Virtual time: a queue of events and nothing else that can make anything happen. Between two
 * events every microtask is drained, so which completion comes before which is decided by the
 * queue, and the queue by the seed: by time, or by time and the priorities of tasks.
 */
import { createHash } from "node:crypto";
import type { Priorities } from "./priorities.ts";

interface Event {
  readonly atMs: number;
  /** Events of one moment happen in the order they were scheduled. */
  readonly order: number;
  readonly run: () => void;
  readonly timer: Timer | undefined;
  /** Whose it is; undefined: of the surroundings, which nothing holds back. */
  readonly task: string | undefined;
}

/** What an event belongs to. */
type Of = Pick<Event, "timer" | "task">;

/** Of an event that may be called off. */
export interface Timer {
  isOff: boolean;
}

const TRACE_LINES_MAX = 400;
/** Added to any time of a run, it makes a later one. */
const DELAY_MS_MIN = 1e-6;
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
  #priorities: Priorities | undefined;

  /** @param priorities undefined: events happen when they are due */
  constructor(priorities?: Priorities) {
    this.#priorities = priorities;
  }

  /** From now on events happen when they are due. */
  dropPriorities(): void {
    this.#priorities = undefined;
  }

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
  after(delayMs: number, run: () => void, { timer, task }: Partial<Of> = {}): void {
    // What is left of a time limit may be a rounding error, which would not let time go on.
    const atMs = this.#nowMs + (delayMs > 0 ? Math.max(delayMs, DELAY_MS_MIN) : 0);
    this.#push({ atMs, order: this.#scheduled++, run, timer, task });
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
    while (this.#heap[0]?.timer?.isOff === true) this.#remove(0);
    const first = this.#heap[0];
    if (first === undefined || first.atMs > untilMs) {
      this.#nowMs = untilMs;
      return false;
    }
    const next = this.#removeNext(first, untilMs);
    // What was held back is late.
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    this.#events++;
    next.run();
    return true;
  }

  /** @param first of all events */
  #removeNext(first: Event, untilMs: number): Event {
    const priorities = this.#priorities;
    if (priorities === undefined) return this.#remove(0) ?? first;
    const dueMs = Math.min(untilMs, first.atMs + priorities.windowMs);
    for (;;) {
      const at = this.#highest(priorities, dueMs);
      if (!priorities.falls(this.#heap[at]?.task)) return this.#remove(at) ?? first;
    }
  }

  /** Where in the heap the event of the highest priority is among those that are due by then. */
  #highest(priorities: Priorities, dueMs: number): number {
    const heap = this.#heap;
    let [best, highest] = [0, -1];
    const due = [0];
    for (let at = due.pop(); at !== undefined; at = due.pop()) {
      const event = heap[at];
      if (event === undefined || event.atMs > dueMs) continue;
      due.push(2 * at + 1, 2 * at + 2);
      if (event.timer?.isOff === true) continue;
      const priority = priorities.of(event.task);
      const chosen = heap[best];
      if (priority < highest) continue;
      if (priority === highest && chosen !== undefined && !isBefore(event, chosen)) continue;
      [best, highest] = [at, priority];
    }
    return best;
  }

  #push(event: Event): void {
    this.#rise(this.#heap.push(event) - 1, event);
  }

  #rise(from: number, event: Event): void {
    const heap = this.#heap;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(event, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #remove(from: number): Event | undefined {
    const heap = this.#heap;
    const removed = heap[from];
    const last = heap.pop();
    if (last === undefined || from === heap.length) return removed;
    let at = from;
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]];
      if (left === undefined) break;
      const isRight = right !== undefined && isBefore(right, left);
      const least = isRight ? right : left;
      if (!isBefore(least, last)) break;
      heap[at] = least;
      at = 2 * at + (isRight ? 2 : 1);
    }
    this.#rise(at, last);
    return removed;
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
