/**
 * Processes that change few records at the same time by `update`, over versions, where there is no record,
 * and once, while compactors race; perhaps killed, frozen, and behind a network that breaks. No increment
 * is lost or counted twice, one of those that want one name has it, and an order explains every call.
 */
import { setMaxListeners } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { checkRecords } from "../histories/checker.ts";
import {
  callsOf,
  guardedOperations,
  type GuardedSession,
  readGuardedJournal,
} from "../histories/guarded-journal.ts";
import { compactAtLast } from "../processes/compact-at-last.ts";
import { backendFor } from "../processes/medium.ts";
import { dice } from "../processes/random.ts";
import type { Dice } from "../processes/random.ts";
import { readStore } from "../processes/read-store.ts";
import type { WorkerProcess, WorkerProgram } from "../processes/worker-program.ts";
import type { Settings } from "../processes/worker.ts";
import { steadyMs } from "../register/journal.ts";
import { Store } from "../../src/store/store.ts";
import { judgeCounters, judgeNames, judgeOnce, type Slot } from "./contention-verdict.ts";

export interface ContentionOptions {
  readonly processes: number;
  /** Of each process. */
  readonly increments: number;
  readonly counters: number;
  /** Increments alone, or with edits, deletions, names and calls that run once between them. */
  readonly mixed: boolean;
  /** Processes are killed and frozen again and again; what may be tried again is no failure. */
  readonly kills: boolean;
  readonly compactors: number;
  readonly seed: number;
  readonly program: WorkerProgram;
  /** As the tests reach it; the processes may reach it through a proxy. */
  readonly location: string;
  /** Of journals. */
  readonly directory: string;
}

export interface ContentionReport {
  /** Increments that were acknowledged, and those of which nobody knows. */
  readonly acked: number;
  readonly unknown: number;
  /** Increments that wrote nothing, because others were faster until the deadline, and were called again. */
  readonly refused: number;
  /** What the counters say in the end. */
  readonly counted: number;
  readonly calls: number;
  readonly kills: number;
  readonly freezes: number;
  readonly onceRuns: number;
  readonly ms: number;
  /** The generation of the last manifest. */
  readonly generation: number;
  readonly explained: "fine" | "violated" | "undecided";
  readonly violations: readonly string[];
}

const EDITED = ["edited-1", "edited-2"];
const NAMES = Array.from({ length: 8 }, (_, n) => `name-${n}`);
const KEYS = Array.from({ length: 4 }, (_, n) => `webhook-${n}`);
const DEADLINE_MS = 60_000;
/** Deletions are purged while they race; WINDOW is shorter than a freeze. */
const SETTINGS: Settings = {
  gcGraceMs: 0,
  segmentGraceMs: 0,
  guardGraceMs: 15_000,
  leaseTtlMs: 5_000,
  writeTimeoutMs: 5_000,
  writerLagMs: 3_000,
  tombstoneGraceMs: 6_000,
};
/** Nothing is killed: what applies by default, and no grace for readers. */
const CALM_SETTINGS: Settings = { gcGraceMs: 0, segmentGraceMs: 0 };
const LIFE_MS_MAX = 6_000;
/** More than the longest life has time for: the first process of a run is killed for certain. */
const INCREMENTS_OF_A_LIFE = 10_000;
const FREEZES = 0.3;
const FREEZE_MS_MAX = 7_000;
const JUDGE_BUDGET = 2_000_000;

class Contention {
  readonly #options: ContentionOptions;
  readonly #end = new AbortController();
  readonly slots: Slot[] = [];
  readonly violations: string[] = [];
  kills = 0;
  freezes = 0;

  constructor(options: ContentionOptions) {
    this.#options = options;
    setMaxListeners(0, this.#end.signal);
  }

  async run(): Promise<void> {
    const { processes, compactors, seed } = this.#options;
    const compacting = Array.from({ length: compactors }, (_, at) =>
      this.#compact(dice(seed - 1 - at)),
    );
    const contending = Array.from({ length: processes }, (_, at) =>
      this.#contend(`slot-${at}`, dice(seed + 1 + at)),
    );
    await Promise.all(contending);
    this.#end.abort();
    await Promise.all(compacting);
  }

  get settings(): Settings {
    return this.#options.kills ? SETTINGS : CALM_SETTINGS;
  }

  get counters(): string[] {
    return Array.from({ length: this.#options.counters }, (_, n) => `counter-${n}`);
  }

  /** One process after the other, until all increments of the slot are done. */
  async #contend(name: string, chance: Dice): Promise<void> {
    const { increments, mixed, kills, directory, program, location } = this.#options;
    const slot: Slot = { name, journals: [] };
    this.slots.push(slot);
    const goesOnUntilKilled = kills && this.slots.length === 1;
    for (let left = increments; left > 0; left = increments - attempted(slot)) {
      if (goesOnUntilKilled && this.kills === 0) left = INCREMENTS_OF_A_LIFE;
      const agentId = `${name}-${slot.journals.length + 1}`;
      const journal = join(directory, `${agentId}.jsonl`);
      writeFileSync(journal, "");
      slot.journals.push(journal);
      const process = program.start({
        kind: "contend",
        location,
        settings: this.settings,
        disturbed: kills,
        agentId,
        slot: name,
        counters: this.counters,
        increments: left,
        edited: mixed ? EDITED : [],
        names: mixed ? NAMES : [],
        keys: mixed ? KEYS : [],
        deadlineMs: DEADLINE_MS,
        journal,
        seed: chance.below(2 ** 31),
      });
      const wasKilled = await this.#live(process, chance);
      const { code, stderr } = await process.ended;
      if (!wasKilled && code !== 0) {
        this.violations.push(`${agentId} ended with ${code}: ${stderr}`);
        return;
      }
    }
  }

  async #compact(chance: Dice): Promise<void> {
    const { program, location, kills } = this.#options;
    while (!this.#end.signal.aborted) {
      const task = { location, settings: this.settings, disturbed: kills };
      const process = program.start({ kind: "compact", ...task });
      const ended = this.#live(process, chance);
      const over = new Promise<void>((resolve) => {
        if (this.#end.signal.aborted) resolve();
        this.#end.signal.addEventListener("abort", () => resolve());
      });
      await Promise.race([ended, over]);
      process.finish();
      process.thaw();
      const wasKilled = await ended;
      const { code, stderr } = await process.ended;
      if (!wasKilled && code !== 0)
        this.violations.push(`a compactor ended with ${code}: ${stderr}`);
    }
  }

  /** Until it has done its work, or is killed. @returns whether it was killed */
  async #live(process: WorkerProcess, chance: Dice): Promise<boolean> {
    const ended = process.ended.then(() => "ended" as const);
    void begin(process);
    if (!this.#options.kills) return (await ended) !== "ended";
    const lives = async (ms: number): Promise<boolean> =>
      (await Promise.race([delay(ms), ended])) !== "ended";
    if (!(await lives(1_000 + chance.below(LIFE_MS_MAX)))) return false;
    if (chance.chance(FREEZES)) {
      this.freezes++;
      process.freeze();
      await lives(chance.below(FREEZE_MS_MAX));
      process.thaw();
      if (!(await lives(chance.below(LIFE_MS_MAX)))) return false;
    }
    this.kills++;
    await process.kill();
    return true;
  }
}

/** Increments that were acknowledged, or of which nobody knows. */
function attempted({ journals }: Slot): number {
  return journals
    .flatMap((path) => callsOf(readGuardedJournal(path)))
    .filter(({ action, outcome }) => action?.kind === "update" && outcome !== "nothing").length;
}

/** Lets a process begin, and reads what it says until it ends. */
async function begin(process: WorkerProcess): Promise<void> {
  try {
    await process.answer();
    process.go();
    for (;;) await process.answer();
  } catch {
    // It has ended, which `ended` tells.
  }
}

/** @returns what all calls came to, once the last compaction has merged them */
export async function contend(options: ContentionOptions): Promise<ContentionReport> {
  const { location } = options;
  const run = new Contention(options);
  // A manifest with lanes, and the shortest graces that any process is given.
  const backend = await backendFor(location, run.settings);
  await (await Store.open(location, { ...run.settings, backend, agentId: "first" })).close();
  const startedMs = performance.now();
  await run.run();
  const ms = performance.now() - startedMs;

  const ids = [...run.counters, ...EDITED, ...NAMES];
  const readers: GuardedSession[] = [];
  const shown: Map<string, unknown>[] = [];
  const read = async (how: "eager" | "lazy"): Promise<void> => {
    const calledMs = steadyMs();
    const records = await readStore(location, { how, ids });
    const lines = ids.flatMap((id, n) => {
      const value = tagIn(records.get(id));
      return [
        { kind: "called", n, atMs: calledMs },
        {
          kind: "returned",
          n,
          atMs: steadyMs(),
          outcome: "done",
          action: { kind: "read", id, value },
        },
      ] as const;
    });
    readers.push({ session: `reader ${readers.length}`, lines });
    shown.push(records);
  };
  for (const how of ["eager", "lazy"] as const) await read(how);
  const { generation } = await compactAtLast(location, run.settings);
  for (const how of ["eager", "lazy"] as const) await read(how);

  const sessions = run.slots.flatMap(({ journals }) => journals.map(readGuardedJournal));
  const operations = guardedOperations([...sessions, ...readers]);
  const explained = checkRecords(operations, { plain: "in time", budget: JUDGE_BUDGET });
  const counters = judgeCounters(run.slots, run.counters, shown);
  const once = judgeOnce(sessions, { maySurvive: options.kills });
  return {
    ...counters,
    calls: operations.length,
    kills: run.kills,
    freezes: run.freezes,
    onceRuns: once.runs,
    ms,
    generation,
    explained: explained.answer,
    violations: [
      ...run.violations,
      ...counters.violations,
      ...judgeNames(sessions, NAMES),
      ...once.violations,
      ...(explained.answer === "violated" ? [explained.message] : []),
    ],
  };
}

function tagIn(value: unknown): string | undefined {
  const tag: unknown = Reflect.get(Object(value), "tag");
  return typeof tag === "string" ? tag : undefined;
}

export function describeContention(
  { violations, ms, ...counts }: ContentionReport,
  { seed }: Pick<ContentionOptions, "seed">,
): string {
  const told = Object.entries(counts).map(([name, value]) => `${name} ${value}`);
  const outcome = violations.length === 0 ? "nothing is wrong" : `${violations.length} violations`;
  return [
    `seed ${seed}, ${(ms / 1_000).toFixed(1)} s: ${told.join(", ")}: ${outcome}`,
    ...violations,
  ].join("\n");
}
