/**
 * Hundreds of short-lived processes write one record each, and some that all of them write, while
 * compactors race: none is lost, and the shared ones keep the order that is promised.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Deferred } from "../../src/core/deferred.ts";
import { judgePlain } from "../histories/from-register.ts";
import { checkRegister } from "../register/checker.ts";
import { ONE_HOST } from "../register/history.ts";
import { historyOf, readRegisterJournal, steadyMs } from "../register/journal.ts";
import type { RegisterLine, SessionLines } from "../register/journal.ts";
import { readLines } from "../register/recorded-store.ts";
import { repeat } from "../support/effort.ts";
import { tempDir } from "../support/temp-dir.ts";
import { compactAtLast } from "./compact-at-last.ts";
import type { Medium } from "./medium.ts";
import { readStore } from "./read-store.ts";
import type { CompactorTotals, Settings } from "./worker.ts";
import { bundleWorkerProgram } from "./worker-process.ts";
import type { WorkerProcess, WorkerProgram } from "./worker-process.ts";

const PROCESSES = repeat({ quick: 20, full: 50 });
const ROUNDS = repeat({ quick: 2, full: 10 });
const COMPACTORS = 2;
/** Everybody writes these as well. */
const SHARED_IDS = ["shared"];
const TIMEOUT_MS = 10 * 60_000;

/** No grace for readers, and a lease that on a busy machine is lost now and then: compactors race. */
const SETTINGS: Settings = { gcGraceMs: 0, segmentGraceMs: 0, leaseTtlMs: 1_000 };
/** One for two rounds, far below what an idle machine gives: a busy one is waited for. */
const publishedMin = (rounds: number): number => Math.floor(rounds / 2);

export function crowdSuite(openMedium: () => Promise<Medium>): void {
  test(
    `of ${ROUNDS} times ${PROCESSES} processes at once, none loses its record to two racing compactors`,
    { timeout: TIMEOUT_MS },
    async () => {
      await using medium = await openMedium();
      await using program = await bundleWorkerProgram();
      await using journals = await tempDir();
      const { location } = medium;
      const crowd = { program, location, journals: journals.path };
      const compactors = await RacingCompactors.start(program, location);

      const expected = new Map<string, unknown>();
      const roundsMs: number[] = [];
      for (let round = 1; round <= ROUNDS; round++) {
        const startedMs = performance.now();
        for (const [id, value] of await writeTogether(crowd, round)) {
          expected.set(id, value);
        }
        roundsMs.push(performance.now() - startedMs);
        await compactors.havePublished(publishedMin(round));
      }
      const totals = await compactors.stop();

      expect(expected.size).toBe(ROUNDS * PROCESSES);
      const sessions = readdirSync(journals.path).map((name) =>
        readRegisterJournal(join(journals.path, name)),
      );
      sessions.push(await expectToShow(location, expected));
      const last = await compactAtLast(location, SETTINGS);
      sessions.push(await expectToShow(location, expected));
      const history = historyOf(sessions);
      // Each call was sent, or told that nothing was written: a busy server refuses some.
      const lines = sessions.flatMap((session) => session.lines);
      const sent = new Set(lines.flatMap((line) => (line.kind === "sent" ? [line.tag] : [])));
      const refused = lines.filter(
        (line) => line.kind === "ended" && line.outcome === "nothing" && !sent.has(line.tag),
      );
      expect(sent.size + refused.length).toBe(ROUNDS * PROCESSES * SHARED_IDS.length);
      expect(history.writes.length).toBe(sent.size);
      expect(checkRegister(history, ONE_HOST)).toEqual([]);
      expect(judgePlain(history, ONE_HOST)).toMatchObject({ answer: "fine" });

      console.log(
        `rounds of ${PROCESSES} processes took ${roundsMs.map((ms) => ms.toFixed(0)).join(", ")} ms; ` +
          `compactors: ${JSON.stringify(totals)}, and at last ${last.segments} segments`,
      );
      // Every record was compacted, most of them while the others were writing.
      const merged = totals.reduce((sum, { segments }) => sum + segments, last.segments);
      expect(merged).toBeGreaterThanOrEqual(ROUNDS * PROCESSES);
      const published = totals.reduce((sum, total) => sum + total.published, 0);
      expect(published).toBeGreaterThanOrEqual(publishedMin(ROUNDS));
    },
  );
}

class RacingCompactors {
  readonly #workers: readonly WorkerProcess[];
  readonly #totals: readonly Promise<CompactorTotals>[];
  #published = 0;
  #news = new Deferred();

  static async start(program: WorkerProgram, location: string): Promise<RacingCompactors> {
    const workers = Array.from({ length: COMPACTORS }, () =>
      program.start({ kind: "compact", location, settings: SETTINGS, announces: true }),
    );
    await Promise.all(workers.map((worker) => worker.answer()));
    for (const worker of workers) worker.go();
    return new RacingCompactors(workers);
  }

  constructor(workers: readonly WorkerProcess[]) {
    this.#workers = workers;
    this.#totals = workers.map((worker) => this.#listen(worker));
  }

  /** Resolves when there were so many publications; rejects when a compactor ends before. */
  async havePublished(count: number): Promise<void> {
    const failed = Promise.all(this.#totals);
    while (this.#published < count) await Promise.race([this.#news.promise, failed]);
  }

  async stop(): Promise<readonly CompactorTotals[]> {
    for (const worker of this.#workers) worker.finish();
    const totals = await Promise.all(this.#totals);
    for (const { ended } of this.#workers) expect(await ended).toEqual({ code: 0, stderr: "" });
    return totals;
  }

  async #listen(worker: WorkerProcess): Promise<CompactorTotals> {
    for (;;) {
      const answer = (await worker.answer()) as CompactorTotals | { readonly published: true };
      if (answer.published !== true) return answer;
      this.#published++;
      this.#news.resolve();
      this.#news = new Deferred();
    }
  }
}

interface Crowd {
  readonly program: WorkerProgram;
  readonly location: string;
  /** Directory of what each process did on the shared records. */
  readonly journals: string;
}

/** Fresh processes, all started before the first may open the store. */
async function writeTogether(
  { program, location, journals }: Crowd,
  round: number,
): Promise<[string, unknown][]> {
  const writers = Array.from({ length: PROCESSES }, (_, at) => {
    const [id, agentId] = [`record-${round}-${at}`, `agent-${round}-${at}`];
    const shared = { ids: SHARED_IDS, journal: join(journals, `${agentId}.jsonl`) };
    const common = { location, settings: SETTINGS, agentId, id, shared };
    const task = { kind: "write-one", ...common } as const;
    return { id, agentId, process: program.start(task) };
  });
  await Promise.all(writers.map(({ process }) => process.answer()));
  for (const { process } of writers) process.go();
  return Promise.all(
    writers.map(async ({ id, agentId, process }): Promise<[string, unknown]> => {
      expect(await process.answer()).toEqual({ acknowledged: id });
      process.finish();
      expect(await process.ended).toEqual({ code: 0, stderr: "" });
      return [id, { by: agentId }];
    }),
  );
}

/** @returns what readers are given of the shared records */
async function expectToShow(
  location: string,
  expected: ReadonlyMap<string, unknown>,
): Promise<SessionLines> {
  const lines: RegisterLine[] = [];
  for (const how of ["eager", "lazy"] as const) {
    const invokedMs = steadyMs();
    const ids = [...expected.keys(), ...SHARED_IDS];
    const shown = await readStore(location, { how, ids });
    lines.push(...readLines(shown, SHARED_IDS, invokedMs));
    for (const id of SHARED_IDS) shown.delete(id);
    expect(shown, `${how} reader`).toEqual(expected);
  }
  return { session: "the last readers", lines };
}
