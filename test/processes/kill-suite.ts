/**
 * SIGKILL at random moments: whatever a writer had acknowledged is there for a fresh reader, batches
 * are whole, and the next process takes over. KILLS sets the number, SEED repeats the choices.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import type { CompactionReport } from "../../src/compaction/report.ts";
import { tempDir } from "../support/temp-dir.ts";
import { compactAtLast } from "./compact-at-last.ts";
import { readJournal } from "./journal-file.ts";
import { findViolations } from "./journal.ts";
import type { JournaledCall, Landing, Shown } from "./journal.ts";
import { PATTERNS } from "./kill-patterns.ts";
import type { Pattern, WriterPattern } from "./kill-patterns.ts";
import type { Medium } from "./medium.ts";
import { dice, runSeed } from "./random.ts";
import type { Dice } from "./random.ts";
import { readStore } from "./read-store.ts";
import { bundleWorkerProgram } from "./worker-process.ts";
import type { Ending, WorkerProcess, WorkerProgram } from "./worker-process.ts";

export interface KillSuiteOptions extends Landing {
  readonly openMedium: () => Promise<Medium>;
  /** In the default run, over all patterns. */
  readonly kills: number;
  /** On a directory. Default true. */
  readonly fsync?: boolean;
}

const IDS_PER_WRITER = 24;
/** Share of the processes killed while they start, open the store or wait for its lock. */
const KILLED_OPENING = 0.2;
const OPENING_MS = 60;
/** A writer that has opened lives for less than so many acknowledgements, and a moment more. */
const ACKNOWLEDGED_MAX = 40;
const MOMENT_MS = 40;
/** A compactor that is to die in a round does so within this time. */
const COMPACTING_MS = 400;
/** Share of the compactors killed in a round. */
const KILLED_COMPACTORS = 0.5;
/** A round takes a few seconds at most, on S3 with a lease to wait for. */
const TIMEOUT_MS_PER_KILL = 15_000;

export function killSuite(options: KillSuiteOptions): void {
  const { KILLS } = process.env;
  const killsEach = Math.ceil(Number(KILLS || options.kills) / PATTERNS.length);
  const seed = runSeed();
  const generations: number[] = [];
  for (const [at, pattern] of PATTERNS.entries()) {
    test(
      `killed at any moment, nothing acknowledged is lost: ${pattern.name} (seed ${seed})`,
      { timeout: 60_000 + killsEach * TIMEOUT_MS_PER_KILL },
      async () => {
        await using medium = await options.openMedium();
        await using journals = await tempDir();
        await using program = await bundleWorkerProgram();
        const chance = dice(seed + at);
        const parts = { ...options, pattern, location: medium.location, program, dice: chance };
        const run = new KillRun(parts, journals.path);
        // With too few acknowledgements the kills would have proved nothing.
        while (run.kills < killsEach || run.outcomes().acknowledged <= run.kills) {
          await run.round();
          await run.check(chance.chance(0.5) ? "eager" : "lazy");
        }
        const { generation } = await run.compactAtLast();
        await run.check("eager");
        await run.check("lazy");
        const { acknowledged, unknown } = run.outcomes();
        console.log(
          `seed ${seed}: ${run.kills} kills, ${acknowledged} calls acknowledged, ` +
            `${unknown} under way, manifest generation ${generation}`,
        );
        if (pattern.compacts) generations.push(generation);
      },
    );
  }

  // In a few kills one pattern's compactors may all have died in the middle; all patterns' not.
  test("compactions took place between the kills", () => {
    expect(Math.max(...generations)).toBeGreaterThan(1);
  });
}

interface KillRunParts extends KillSuiteOptions {
  readonly pattern: Pattern;
  readonly location: string;
  readonly program: WorkerProgram;
  readonly dice: Dice;
}

/** What one writer's processes, one after the other, did to its ids. */
interface Slot {
  readonly writer: WriterPattern;
  readonly ids: readonly string[];
  readonly journals: string[];
}

class KillRun {
  kills = 0;
  readonly #parts: KillRunParts;
  readonly #directory: string;
  readonly #slots: readonly Slot[];
  #compactors: WorkerProcess[] = [];

  constructor(parts: KillRunParts, directory: string) {
    this.#parts = parts;
    this.#directory = directory;
    this.#slots = parts.pattern.writers.map((writer, slot) => ({
      writer,
      ids: Array.from({ length: IDS_PER_WRITER }, (_, at) => `slot-${slot}-id-${at}`),
      journals: [],
    }));
  }

  /** A process for each writer, killed at a moment of its own; compactors live on for a while. */
  async round(): Promise<void> {
    const { dice: chance } = this.#parts;
    await this.#startCompactors();
    const writers = await this.#released(this.#slots.map((slot) => this.#startWriter(slot)));
    const doomed = this.#compactors.filter(() => chance.chance(KILLED_COMPACTORS));
    await Promise.all([
      ...writers.map((writer) => this.#killWriter(writer)),
      ...doomed.map((compactor) => this.#killAfter(compactor, COMPACTING_MS)),
    ]);
    this.#compactors = this.#compactors.filter((compactor) => !doomed.includes(compactor));
  }

  async #startCompactors(): Promise<void> {
    const { pattern, location, program, fsync } = this.#parts;
    const missing = pattern.compactors - this.#compactors.length;
    const { settings } = pattern;
    const started = Array.from({ length: missing }, () =>
      program.start({ kind: "compact", location, settings, fsync }),
    );
    this.#compactors.push(...(await this.#released(started)));
  }

  async #released(workers: WorkerProcess[]): Promise<WorkerProcess[]> {
    await Promise.all(workers.map((worker) => worker.answer()));
    for (const worker of workers) worker.go();
    return workers;
  }

  /** Kills who still lives, then merges everything there is. */
  async compactAtLast(): Promise<CompactionReport> {
    await Promise.all(this.#compactors.map((compactor) => this.#killAfter(compactor, 0)));
    return compactAtLast(this.#parts.location, this.#parts.pattern.settings);
  }

  #startWriter(slot: Slot): WorkerProcess {
    const { pattern, location, program, dice: chance, fsync } = this.#parts;
    const { writer, ids, journals } = slot;
    const incarnation = journals.length + 1;
    const journal = join(this.#directory, `${ids[0]}-${incarnation}.jsonl`);
    // Also when it is killed before it makes one itself.
    writeFileSync(journal, "");
    journals.push(journal);
    const task = { ...writer, ids, incarnation, journal, seed: chance.below(2 ** 31) };
    return program.start({ kind: "write", location, settings: pattern.settings, fsync, ...task });
  }

  async #killWriter(writer: WorkerProcess): Promise<void> {
    const { dice: chance } = this.#parts;
    if (chance.chance(KILLED_OPENING)) return this.#killAfter(writer, OPENING_MS);
    const acknowledged = chance.below(ACKNOWLEDGED_MAX);
    expect(await writer.answer()).toEqual({ open: true });
    for (let seen = 0; seen < acknowledged; seen++) await writer.answer();
    return this.#killAfter(writer, MOMENT_MS);
  }

  async #killAfter(worker: WorkerProcess, mostMs: number): Promise<void> {
    await delay(this.#parts.dice.below(mostMs + 1));
    expectKilled(await worker.kill());
    this.kills++;
  }

  async check(how: "eager" | "lazy"): Promise<void> {
    const ids = this.#slots.flatMap((slot) => slot.ids);
    const shown = tagsOf(await readStore(this.#parts.location, { how, ids }));
    for (const slot of this.#slots) {
      const own = new Map([...shown].filter(([id]) => slot.ids.includes(id)));
      const violations = findViolations(callsOf(slot), own, this.#parts);
      expect(violations, `${how} reader, kill ${this.kills}`).toEqual([]);
    }
    expect([...shown.keys()].filter((id) => !ids.includes(id))).toEqual([]);
  }

  outcomes(): Record<JournaledCall["outcome"], number> {
    const counts = { acknowledged: 0, refused: 0, unknown: 0 };
    for (const { outcome } of this.#slots.flatMap(callsOf)) counts[outcome]++;
    return counts;
  }
}

/** Still at work until the signal came, and without a complaint. */
function expectKilled(ending: Ending): void {
  expect(ending).toEqual({ code: null, stderr: "" });
}

function callsOf({ journals }: Slot): JournaledCall[] {
  return journals.flatMap((path, at) => readJournal(path, at + 1));
}

function tagsOf(records: ReadonlyMap<string, unknown>): Shown {
  return new Map(
    [...records].map(([id, value]) => [id, String(Reflect.get(Object(value), "tag"))]),
  );
}
