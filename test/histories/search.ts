/**
 * Looks for an order of operations that explains all that their callers were told: depth-first, one
 * operation at a time, without going twice through the same records after the same operations
 * (Wing and Gong 1993; Lowe 2017). The problem is NP-complete, hence the budget.
 */
import type { Operation } from "./history.ts";
import { type Ghost, NOTHING, type Problem, type State, type Step } from "./steps.ts";

export type Result =
  | { readonly answer: "fine"; readonly order: readonly Operation[] }
  | { readonly answer: "violated" | "undecided"; readonly tried: number };

/** @param budget steps to try; when they are used up the answer is "undecided" */
export function findOrder(problem: Problem, budget: number): Result {
  return new Search(problem).run(budget);
}

/** What was put into the order, and what was before. */
interface Taken {
  readonly step: number;
  readonly writers: readonly (readonly [id: string, step: number])[];
  readonly pending: number;
}

interface Frame {
  /** How long the order was when it was entered. */
  readonly length: number;
  readonly choices: readonly number[];
  next: number;
}

/** In the place of a step: there is none. */
const NONE = -1;

class Search {
  /** Those that are required, by `fromMs`, then those that are optional. */
  readonly #steps: readonly Step[];
  readonly #required: number;
  readonly #isByVersion: boolean;
  readonly #ghosts = new Map<string, Ghost[]>();
  /** Of each record what must write it, by version, and how many of these are done. */
  readonly #queues = new Map<string, number[]>();
  readonly #queueDone = new Map<string, number>();
  /** Of each record the step that wrote it last. */
  readonly #writers = new Map<string, number>();
  readonly #order: Taken[] = [];
  readonly #seen = new Set<string>();
  readonly #isDone: boolean[];
  #doneBits = 0n;
  #requiredDone = 0;
  /** All required steps before it are done. */
  #first = 0;
  /** An optional step that was taken last: what follows must have to do with it. */
  #pending = NONE;

  constructor({ steps, ghosts, rule }: Problem) {
    const required = steps.filter(({ isOptional }) => !isOptional);
    const optional = steps.filter(({ isOptional }) => isOptional);
    required.sort((a, b) =>
      a.fromMs === b.fromMs ? a.untilMs - b.untilMs : a.fromMs < b.fromMs ? -1 : 1,
    );
    this.#steps = [...required, ...optional];
    this.#required = required.length;
    this.#isByVersion = rule === "by version";
    this.#isDone = this.#steps.map(() => false);
    for (const ghost of ghosts) append(this.#ghosts, ghost.id, ghost);
    for (const [at, { effects }] of this.#steps.entries()) {
      for (const { id } of effects) {
        this.#writers.set(id, NONE);
        if (this.#isByVersion && at < this.#required) append(this.#queues, id, at);
      }
    }
    for (const [id, queue] of this.#queues) {
      queue.sort((a, b) => (this.#versionMade(a, id) < this.#versionMade(b, id) ? -1 : 1));
    }
  }

  run(budget: number): Result {
    let tried = 0;
    this.#takeReads();
    const frames: Frame[] = [{ length: 0, choices: this.#choices(), next: 0 }];
    for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
      if (this.#requiredDone === this.#required) return { answer: "fine", order: this.#found() };
      const choice = frame.choices[frame.next++];
      if (choice === undefined) {
        frames.pop();
        this.#untake(frame.length);
        continue;
      }
      if (++tried > budget) return { answer: "undecided", tried };
      if (!this.#isPossible(choice)) continue;
      const { length } = this.#order;
      this.#take(choice);
      this.#takeReads();
      const key = this.#key();
      if (this.#seen.has(key)) {
        this.#untake(length);
        continue;
      }
      this.#seen.add(key);
      frames.push({ length, choices: this.#choices(), next: 0 });
    }
    return { answer: "violated", tried };
  }

  /** A read that fits takes nothing from what follows, so nothing is lost by taking it at once. */
  #takeReads(): void {
    for (let isAgain = true; isAgain;) {
      isAgain = false;
      for (const at of this.#choices()) {
        if (this.#steps[at]?.effects.length !== 0 || !this.#isPossible(at)) continue;
        this.#take(at);
        isAgain = true;
      }
    }
  }

  /** What may be next in time, as nothing else had returned before it was called; the most urgent first. */
  #choices(): number[] {
    const choices: number[] = [];
    let untilMs = Infinity;
    const fromMs = (at: number): number => this.#steps[at]?.fromMs ?? Infinity;
    for (let at = this.#first; at < this.#required && fromMs(at) <= untilMs; at++) {
      if (this.#isDone[at] === true) continue;
      untilMs = Math.min(untilMs, this.#untilMs(at));
      if (this.#isNextByVersion(at)) choices.push(at);
    }
    choices.sort((a, b) => this.#untilMs(a) - this.#untilMs(b));
    for (let at = this.#required; at < this.#steps.length; at++) {
      if (this.#isDone[at] !== true) choices.push(at);
    }
    return choices.filter((at) => fromMs(at) <= untilMs);
  }

  #untilMs(at: number): number {
    return this.#steps[at]?.untilMs ?? Infinity;
  }

  #isPossible(at: number): boolean {
    const step = this.#steps[at];
    if (step === undefined || !this.#followsPending(step)) return false;
    if (this.#isByVersion && !step.effects.every(({ id }) => this.#isInOrder(at, id))) return false;
    return step.tests.every(({ id, holds }) => {
      const state = this.#stateOf(id);
      const fits = (one: State): boolean => one.calledMs <= step.untilMs && holds(one);
      if (fits(state)) return true;
      const ghosts = this.#ghosts.get(id) ?? [];
      return ghosts.some((ghost) => isBelow(state.version, ghost.version) && fits(ghost));
    });
  }

  /** What must write a record does so in the order of versions. */
  #isNextByVersion(at: number): boolean {
    if (!this.#isByVersion) return true;
    return this.#steps[at]?.effects.every(({ id }) => this.#nextOf(id) === at) === true;
  }

  #nextOf(id: string): number | undefined {
    return this.#queues.get(id)?.[this.#queueDone.get(id) ?? 0];
  }

  /** Its version is above what is there, and below all that must still be there. */
  #isInOrder(at: number, id: string): boolean {
    const own = this.#versionMade(at, id);
    if (!isBelow(this.#stateOf(id).version, own)) return false;
    const next = this.#nextOf(id);
    return next === at || next === undefined || isBelow(own, this.#versionMade(next, id));
  }

  /**
   * An optional step may as well come later, or never, unless what follows sees it, replaces what it
   * has read, or replaces a part of what it wrote.
   */
  #followsPending({ tests, effects }: Step): boolean {
    const pending = this.#steps[this.#pending];
    if (pending === undefined) return true;
    const isWritten = (id: string): boolean => pending.effects.some((effect) => effect.id === id);
    const isRead = (id: string): boolean => pending.tests.some((test) => test.id === id);
    if (tests.some(({ id }) => isWritten(id)) || effects.some(({ id }) => isRead(id))) return true;
    return pending.effects.length > 1 && effects.some(({ id }) => isWritten(id));
  }

  #take(at: number): void {
    const step = this.#steps[at];
    if (step === undefined) return;
    const writers = step.effects.map(({ id }) => [id, this.#writers.get(id) ?? NONE] as const);
    this.#order.push({ step: at, writers, pending: this.#pending });
    for (const { id } of step.effects) this.#writers.set(id, at);
    this.#pending = step.isOptional ? at : NONE;
    this.#mark(at, step, true);
  }

  /** Takes steps back until the order is so long. */
  #untake(length: number): void {
    while (this.#order.length > length) {
      const taken = this.#order.pop();
      const step = this.#steps[taken?.step ?? NONE];
      if (taken === undefined || step === undefined) return;
      for (const [id, writer] of taken.writers) this.#writers.set(id, writer);
      this.#pending = taken.pending;
      this.#mark(taken.step, step, false);
    }
  }

  #mark(at: number, { effects, isOptional }: Step, isDone: boolean): void {
    this.#isDone[at] = isDone;
    this.#doneBits ^= 1n << BigInt(at);
    if (isOptional) return;
    const more = isDone ? 1 : -1;
    this.#requiredDone += more;
    for (const { id } of effects) this.#queueDone.set(id, (this.#queueDone.get(id) ?? 0) + more);
    if (!isDone) this.#first = Math.min(this.#first, at);
    while (this.#isDone[this.#first] === true) this.#first++;
  }

  #stateOf(id: string): State {
    const step = this.#steps[this.#writers.get(id) ?? NONE];
    const made = step?.effects.find((effect) => effect.id === id);
    if (step === undefined || made === undefined) return NOTHING;
    return { value: made.value, version: made.version, calledMs: step.operation.calledMs };
  }

  #versionMade(at: number, id: string): string {
    return this.#steps[at]?.effects.find((effect) => effect.id === id)?.version ?? "";
  }

  /** What is done and what the records hold: from there on all goes alike. */
  #key(): string {
    return `${this.#doneBits.toString(32)};${[...this.#writers.values()].join()};${this.#pending}`;
  }

  #found(): Operation[] {
    return this.#order.flatMap(({ step }) => this.#steps[step]?.operation ?? []);
  }
}

function isBelow(version: string | undefined, other: string | undefined): boolean {
  return other !== undefined && (version === undefined || version < other);
}

function append<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}
