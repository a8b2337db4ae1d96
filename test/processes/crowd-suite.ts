/** Hundreds of short-lived processes write one record each while compactors race. */
import { expect, test } from "vitest";
import { Deferred } from "../../src/core/deferred.ts";
import { compactAtLast } from "./compact-at-last.ts";
import type { Medium } from "./medium.ts";
import { readStore } from "./read-store.ts";
import type { CompactorTotals, Settings } from "./worker.ts";
import { bundleWorkerProgram } from "./worker-process.ts";
import type { WorkerProcess, WorkerProgram } from "./worker-process.ts";

const PROCESSES = 50;
const ROUNDS = 10;
const COMPACTORS = 2;
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
      const { location } = medium;
      const compactors = await RacingCompactors.start(program, location);

      const expected = new Map<string, unknown>();
      const roundsMs: number[] = [];
      for (let round = 1; round <= ROUNDS; round++) {
        const startedMs = performance.now();
        for (const [id, value] of await writeTogether(program, location, round)) {
          expected.set(id, value);
        }
        roundsMs.push(performance.now() - startedMs);
        await compactors.havePublished(publishedMin(round));
      }
      const totals = await compactors.stop();

      expect(expected.size).toBe(ROUNDS * PROCESSES);
      await expectToShow(location, expected);
      const last = await compactAtLast(location, SETTINGS);
      await expectToShow(location, expected);

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

/** Fresh processes, all started before the first may open the store. */
async function writeTogether(
  program: WorkerProgram,
  location: string,
  round: number,
): Promise<[string, unknown][]> {
  const writers = Array.from({ length: PROCESSES }, (_, at) => {
    const [id, agentId] = [`record-${round}-${at}`, `agent-${round}-${at}`];
    const task = { kind: "write-one", location, settings: SETTINGS, agentId, id } as const;
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

async function expectToShow(
  location: string,
  expected: ReadonlyMap<string, unknown>,
): Promise<void> {
  for (const how of ["eager", "lazy"] as const) {
    const shown = await readStore(location, { how, ids: [...expected.keys()] });
    expect(shown, `${how} reader`).toEqual(expected);
  }
}
