/**
 * Real processes on a real S3 server behind a network that breaks: writers that are killed and
 * frozen, compactors that race, die and come back from the dead. What was acknowledged is in
 * journals on the local disk; when all is calm again, readers must show it.
 */
import { setMaxListeners } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { CompactionTask } from "../../src/compaction/report.ts";
import { compactAtLast } from "../processes/compact-at-last.ts";
import { readJournal } from "../processes/journal-file.ts";
import type { JournaledCall, Shown } from "../processes/journal.ts";
import { dice } from "../processes/random.ts";
import type { Dice } from "../processes/random.ts";
import { readStore } from "../processes/read-store.ts";
import { bundleWorkers } from "../processes/worker-program.ts";
import type { WorkerProcess, WorkerProgram } from "../processes/worker-program.ts";
import type { Settings } from "../processes/worker.ts";
import { judgePlain } from "../histories/from-register.ts";
import { checkRegister } from "../register/checker.ts";
import { ONE_HOST } from "../register/history.ts";
import {
  historyOf,
  readRegisterJournal,
  type SessionLines,
  steadyMs,
} from "../register/journal.ts";
import { readLines } from "../register/recorded-store.ts";
import { liveS3Bucket, recordingProxy } from "../support/live-s3.ts";
import { tempDir } from "../support/temp-dir.ts";
import { disturb } from "./disturb.ts";
import { judge, type Verdict } from "./verdict.ts";

export interface TortureOptions {
  readonly seconds: number;
  readonly writers: number;
  /** Processes that compact at the same time. Default 3. */
  readonly compactors?: number | undefined;
  /** One of them is stopped for so long, again and again, in the middle of what it does. Default: none. */
  readonly frozenMs?: number | undefined;
  readonly seed: number;
  /** Of an S3 server without faults. */
  readonly endpoint: string;
  /** Path of processes/worker.ts, for those who are bundled themselves. */
  readonly workerSource?: string | undefined;
}

export interface TortureReport extends Verdict {
  readonly acked: number;
  readonly unknown: number;
  readonly refused: number;
  readonly kills: number;
  readonly freezes: number;
  readonly requests: number;
  readonly disturbed: number;
  /** Calls on the records that all write. */
  readonly sharedWrites: number;
  readonly sharedReads: number;
  /** What the two checkers find among these, and the answer of the one that looks for an order. */
  readonly misordered: readonly string[];
  readonly explained: "fine" | "violated" | "undecided";
  readonly generation: number;
  /** What processes that ended by themselves had to say. */
  readonly crashes: readonly string[];
}

const COMPACTORS = 3;
const IDS_PER_WRITER = 12;
const SHARED_IDS = ["shared-1", "shared-2", "shared-3"];
/** Deletions are forgotten while late requests still arrive; a frozen writer is too late. */
const SETTINGS: Settings = {
  gcGraceMs: 0,
  segmentGraceMs: 0,
  leaseTtlMs: 5_000,
  writeTimeoutMs: 5_000,
  writerLagMs: 3_000,
  tombstoneGraceMs: 6_000,
};
const LIFE_MS_MAX = 20_000;
const OPENING_MS_MAX = 30_000;
const KILLED_OPENING = 0.15;
/** Longer than a lease, and than `writerLagMs`. */
const FREEZE_MS_MAX = 6_000;
const FREEZES = 0.4;
/** Lives of compactors that do a part of the work only. */
const DIVIDED = 0.6;
const PARTS_MAX = 4;
const CALLS = ["set", "delete", "batch", "any"] as const;

interface Life {
  /** It tells when it has opened the store. */
  readonly answers: boolean;
  /** Default: it is frozen by chance, and not for long. */
  readonly frozenMs?: number | undefined;
}

interface Slot {
  readonly ids: readonly string[];
  readonly journals: string[];
  readonly registers: string[];
}

function partOf(chance: Dice): CompactionTask {
  const of = 1 + chance.below(PARTS_MAX);
  return { kind: chance.chance(0.5) ? "log" : "units", index: chance.below(of), of };
}

class Torture {
  readonly #options: TortureOptions;
  readonly #program: WorkerProgram;
  readonly #location: string;
  readonly #directory: string;
  readonly #endAtMs: number;
  readonly #end = new AbortController();
  readonly slots: Slot[] = [];
  readonly crashes: string[] = [];
  kills = 0;
  freezes = 0;

  constructor(
    options: TortureOptions,
    {
      program,
      location,
      directory,
    }: { program: WorkerProgram; location: string; directory: string },
  ) {
    this.#options = options;
    this.#program = program;
    this.#location = location;
    this.#directory = directory;
    setMaxListeners(0, this.#end.signal);
    this.#endAtMs = performance.now() + options.seconds * 1_000;
  }

  /** Ends in time, whatever the processes do: whoever is still there is killed. */
  async run(): Promise<void> {
    const { writers, seed, seconds, compactors = COMPACTORS, frozenMs } = this.#options;
    const lives = [
      ...Array.from({ length: writers }, (_, at) => this.#write(at, dice(seed + 1 + at))),
      ...Array.from({ length: compactors }, (_, at) =>
        this.#compact(dice(seed - 1 - at), at === 0 ? frozenMs : undefined),
      ),
    ];
    await delay(seconds * 1_000);
    this.#end.abort();
    await this.#program.killAll();
    await Promise.all(lives);
  }

  get #ended(): boolean {
    return this.#end.signal.aborted || performance.now() >= this.#endAtMs;
  }

  async #write(at: number, chance: Dice): Promise<void> {
    const ids = Array.from({ length: IDS_PER_WRITER }, (_, n) => `writer-${at}-id-${n}`);
    const slot: Slot = { ids, journals: [], registers: [] };
    this.slots.push(slot);
    while (!this.#ended) {
      const incarnation = slot.journals.length + 1;
      const journal = join(this.#directory, `${at}-${incarnation}.jsonl`);
      writeFileSync(journal, "");
      slot.journals.push(journal);
      const register = join(this.#directory, `${at}-${incarnation}-register.jsonl`);
      writeFileSync(register, "");
      slot.registers.push(register);
      const process = this.#program.start({
        kind: "write",
        location: this.#location,
        settings: SETTINGS,
        disturbed: true,
        agentId: `agent-${at}`,
        lazy: chance.chance(0.7),
        checkpointThreshold: chance.chance(0.2) ? 10 : undefined,
        calls: CALLS[at % CALLS.length] ?? "any",
        ids,
        incarnation,
        lanes: 1 + chance.below(3),
        journal,
        shared: { ids: SHARED_IDS, journal: register },
        seed: chance.below(2 ** 31),
      });
      await this.#live(process, chance, { answers: true });
    }
  }

  /** @param frozenMs each life of it has such a pause. Default: as others have it */
  async #compact(chance: Dice, frozenMs?: number): Promise<void> {
    while (!this.#ended) {
      const task = { location: this.#location, settings: SETTINGS, disturbed: true };
      const part = chance.chance(DIVIDED) ? partOf(chance) : undefined;
      const process = this.#program.start({ kind: "compact", task: part, ...task });
      await this.#live(process, chance, { answers: false, frozenMs });
    }
  }

  /** Until it is killed, perhaps after it was frozen for a while. */
  async #live(process: WorkerProcess, chance: Dice, { answers, frozenMs }: Life): Promise<void> {
    const ended = process.ended.then(({ code, stderr }) => {
      if (code !== null) this.crashes.push(`exit code ${code}: ${stderr}`);
      return "ended" as const;
    });
    const opened = new Promise<void>((resolve) => void begin(process, resolve));
    const lives = async (ms: number): Promise<boolean> =>
      (await Promise.race([this.#pause(ms), ended])) !== "ended";
    // Most are given the time to open the store, however busy the machine is.
    if (answers && !chance.chance(KILLED_OPENING)) {
      await Promise.race([opened, ended, this.#pause(OPENING_MS_MAX)]);
    }
    if (!(await lives(chance.below(LIFE_MS_MAX)))) return;
    if (frozenMs !== undefined || chance.chance(FREEZES)) {
      this.freezes++;
      process.freeze();
      await lives(frozenMs ?? chance.below(FREEZE_MS_MAX));
      process.thaw();
      if (!(await lives(chance.below(LIFE_MS_MAX / 4)))) return;
    }
    this.kills++;
    await process.kill();
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#end.signal }).catch((error: unknown) => {
      if (!this.#end.signal.aborted) throw error;
    });
  }
}

export async function torture(options: TortureOptions): Promise<TortureReport> {
  await using live = await liveS3Bucket();
  await using journals = await tempDir();
  await using proxy = await recordingProxy(options.endpoint);
  const disturbed = disturb(proxy, dice(options.seed));
  const env = { OPSLOG_TEST_S3_ENDPOINT: proxy.endpoint };
  const source = options.workerSource;
  await using program = await bundleWorkers(source === undefined ? { env } : { env, source });
  const location = live.location();
  const run = new Torture(options, { program, location, directory: journals.path });
  await run.run();
  const requests = proxy.requests.length;
  proxy.fault = () => undefined;
  await proxy.settled();

  const slots = run.slots.map(({ ids, journals: paths }) => ({
    ids,
    calls: paths.flatMap((path, at) => readJournal(path, at + 1)),
  }));
  const ids = slots.flatMap((slot) => slot.ids);
  const readers: SessionLines[] = [];
  const read = async (how: "eager" | "lazy"): Promise<Shown> => {
    const invokedMs = steadyMs();
    const records = await readStore(location, { how, ids: [...ids, ...SHARED_IDS] });
    const lines = readLines(records, SHARED_IDS, invokedMs);
    readers.push({ session: `reader ${readers.length}`, lines });
    return tagsOf([...records].filter(([id]) => !SHARED_IDS.includes(id)));
  };
  const before = [await read("eager"), await read("lazy")];
  const { generation } = await compactAtLast(location, SETTINGS);
  const verdict = judge(slots, [...before, await read("eager"), await read("lazy")]);
  const sessions = run.slots.flatMap(({ registers }) => registers.map(readRegisterJournal));
  const history = historyOf([...sessions, ...readers]);
  const shared = { sharedWrites: history.writes.length, sharedReads: history.reads.length };
  const explained = judgePlain(history, ONE_HOST);
  const misordered = [
    ...checkRegister(history, ONE_HOST).map(({ rule, message }) => `${rule}: ${message}`),
    ...(explained.answer === "violated" ? [explained.message] : []),
  ];
  const count = (outcome: JournaledCall["outcome"]): number =>
    slots.flatMap(({ calls }) => calls).filter((call) => call.outcome === outcome).length;
  const { kills, freezes, crashes } = run;
  const outcomes = {
    acked: count("acknowledged"),
    unknown: count("unknown"),
    refused: count("refused"),
  };
  return {
    ...verdict,
    ...outcomes,
    ...shared,
    misordered,
    explained: explained.answer,
    kills,
    freezes,
    requests,
    generation,
    crashes,
    disturbed: disturbed.count,
  };
}

/** Lets a process begin; calls back at its first answer after that. */
async function begin(process: WorkerProcess, onOpen: () => void): Promise<void> {
  try {
    await process.answer();
    process.go();
    await process.answer();
    onOpen();
    // What it says later is in its journal as well; its pipe must not fill up.
    for (;;) await process.answer();
  } catch {
    // It has ended, which `ended` tells.
  }
}

function tagsOf(records: readonly (readonly [string, unknown])[]): Shown {
  return new Map(records.map(([id, value]) => [id, String(Reflect.get(Object(value), "tag"))]));
}

/** Whether a torture found nothing wrong. */
export function passed(report: TortureReport): boolean {
  const { lost, resurrected, torn, divergent, misordered, crashes } = report;
  return lost + resurrected + torn + divergent + misordered.length + crashes.length === 0;
}

export function describeReport(report: TortureReport, { seed }: TortureOptions): string {
  const { acked, lost, resurrected, torn, divergent, violations, misordered, crashes, ...rest } =
    report;
  const others = Object.entries(rest).map(([name, value]) => `${name} ${String(value)}`);
  return [
    `seed ${seed}: acked ${acked}, lost ${lost}, resurrected ${resurrected}, torn ${torn}, divergent ${divergent}, misordered ${misordered.length}`,
    others.join(", "),
    ...violations,
    ...misordered,
    ...crashes.map((crash) => `a process ended by itself: ${crash}`),
  ].join("\n");
}
