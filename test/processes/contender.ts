/**
 * A process that changes records which others change at the same time: increments by `update`, edits
 * and deletions over a version, names that only one may take, and calls that run once.
 */
import { setTimeout as delay } from "node:timers/promises";
import {
  ConditionFailedError,
  OpslogError,
  WriteOutcomeUnknownError,
} from "../../src/core/errors.ts";
import type { Store } from "../../src/store/store.ts";
import { GuardedJournal } from "../histories/guarded-journal.ts";
import type { Action } from "../histories/history.ts";
import { steadyMs } from "../register/journal.ts";
import { dice } from "./random.ts";
import type { Dice } from "./random.ts";
import { isTransient } from "./transient.ts";

export interface ContenderTask {
  readonly agentId: string;
  /** Which of the contenders it is, over all its lives. */
  readonly slot: string;
  /** Incremented in turn. */
  readonly counters: readonly string[];
  readonly increments: number;
  /** Written over a version, deleted and created again between the increments. */
  readonly edited: readonly string[];
  /** Which only one may take. */
  readonly names: readonly string[];
  /** Keys of calls that run once. */
  readonly keys: readonly string[];
  readonly deadlineMs: number;
  /** A file of this process alone. */
  readonly journal: string;
  readonly seed: number;
}

/** A counter: what it counts, and how much of that each contender did. */
export interface Counter {
  readonly tag: string;
  readonly count: number;
  readonly by: Readonly<Record<string, number>>;
}

const WAIT_MS_MAX = 100;
/** Where holders are killed, others need not wait long. */
const SHORT_LEASE_MS = 4_000;
const LEASE_MS = 60_000;
const LONGEST_RUN_MS = 50;

export class Contender {
  readonly #store: Store<unknown>;
  readonly #task: ContenderTask;
  readonly #isDisturbed: boolean;
  readonly #journal: GuardedJournal;
  readonly #dice: Dice;
  #n = 0;
  #tags = 0;

  /** @param isDisturbed holders of `once` are killed */
  constructor(store: Store<unknown>, task: ContenderTask, isDisturbed: boolean) {
    this.#store = store;
    this.#task = task;
    this.#isDisturbed = isDisturbed;
    this.#journal = new GuardedJournal(task.journal);
    this.#dice = dice(task.seed);
  }

  async run(): Promise<void> {
    const { counters, increments, edited, names, keys } = this.#task;
    for (let at = 0; at < increments; at++) {
      const id = counters[at % counters.length] ?? "";
      while (!(await this.#increment(id))) await delay(this.#dice.below(WAIT_MS_MAX));
      const [one, name, key] = [edited, names, keys].map((ids) => this.#dice.pick(ids, 1)[0]);
      if (one !== undefined) await this.#edit(one);
      if (name !== undefined) await this.#create(name);
      if (key !== undefined) await this.#once(key);
    }
  }

  /** @returns false: nothing was written */
  async #increment(id: string): Promise<boolean> {
    const { slot, deadlineMs } = this.#task;
    const tag = this.#newTag();
    const outcome = await this.#call((tried) => {
      const updated = this.#store.update(
        id,
        (now) => {
          const { tag: from, count = 0, by = {} } = (now ?? {}) as Partial<Counter>;
          tried({ kind: "update", id, from, value: tag });
          return { tag, count: count + 1, by: { ...by, [slot]: (by[slot] ?? 0) + 1 } };
        },
        { deadlineMs },
      );
      return updated.then(() => undefined);
    });
    return outcome !== "nothing";
  }

  /** Over what a read returns, if it is still that; sometimes a deletion. */
  async #edit(id: string): Promise<void> {
    const found = await this.#read(id);
    if (found === undefined) return;
    const { version } = found;
    if (version === undefined) return this.#create(id);
    const value = this.#dice.chance(0.3) ? undefined : this.#newTag();
    const action = { kind: "compare-and-set", id, expected: version, value } as const;
    const fresh = this.#dice.chance(0.5);
    await this.#call(async (tried) => {
      tried({ ...action, succeeded: true });
      if (value === undefined) {
        await this.#store.delete(id, { ifVersion: version, fresh });
        return undefined;
      }
      const written = await this.#store.set(id, { tag: value }, { ifVersion: version, fresh });
      return { ...action, succeeded: true, version: written.version };
    }, action);
  }

  async #create(id: string): Promise<void> {
    const value = this.#newTag();
    const action = { kind: "compare-and-set", id, expected: undefined, value } as const;
    await this.#call(async (tried) => {
      tried({ ...action, succeeded: true });
      const { version } = await this.#store.set(id, { tag: value }, { ifAbsent: true });
      return { ...action, succeeded: true, version };
    }, action);
  }

  /** Undefined: the look failed. */
  async #read(id: string): Promise<{ readonly version: string | undefined } | undefined> {
    let version: string | undefined;
    const outcome = await this.#call(async () => {
      version = await this.#store.versionOf(id, { freshness: "strong" });
      return { kind: "read", id, value: tagOf(this.#store.get(id)), version };
    });
    return outcome === "done" ? { version } : undefined;
  }

  async #once(key: string): Promise<void> {
    const tag = this.#newTag();
    const run = async (): Promise<string> => {
      this.#journal.append({ kind: "ran", key, tag });
      await delay(this.#dice.below(LONGEST_RUN_MS));
      return tag;
    };
    try {
      const leaseMs = this.#isDisturbed ? SHORT_LEASE_MS : LEASE_MS;
      const result = await this.#store.once(key, run, { leaseMs });
      this.#journal.append({ kind: "once", key, tag: result });
    } catch (error) {
      // In progress, lost to another, or nobody knows: another call will return what is kept.
      if (!isTransient(error)) throw error;
    }
  }

  /**
   * @param perform what the call came to, undefined: what was tried last
   * @param refusable its action, where a condition may refuse it
   */
  async #call(
    perform: (tried: (action: Action) => void) => Promise<Action | undefined>,
    refusable?: Omit<Extract<Action, { kind: "compare-and-set" }>, "succeeded">,
  ): Promise<"done" | "nothing" | "unknown"> {
    const n = ++this.#n;
    const returned = (outcome: "done" | "nothing" | "unknown", action?: Action): typeof outcome => {
      this.#journal.append({ kind: "returned", n, atMs: steadyMs(), outcome, action });
      return outcome;
    };
    this.#journal.append({ kind: "called", n, atMs: steadyMs() });
    try {
      const action = await perform((tried) =>
        this.#journal.append({ kind: "tried", n, action: tried }),
      );
      return returned("done", action);
    } catch (error) {
      if (error instanceof ConditionFailedError && refusable !== undefined) {
        return returned("done", { ...refusable, succeeded: false });
      }
      if (error instanceof WriteOutcomeUnknownError) {
        const settled = await error.settle?.().catch(() => undefined);
        if (settled === undefined) return returned("unknown");
        return returned(settled === "written" ? "done" : "nothing");
      }
      // Nothing was written: the server has too much to do, or others were faster until the deadline.
      if (!(error instanceof OpslogError) || error.action !== "retry") throw error;
      return returned("nothing");
    }
  }

  #newTag(): string {
    return `${this.#task.agentId} ${++this.#tags}`;
  }
}

function tagOf(value: unknown): string | undefined {
  const tag: unknown = Reflect.get(Object(value), "tag");
  return typeof tag === "string" ? tag : undefined;
}
