/**
 * What other processes do to a store; bundled by worker-process.ts. The task comes as JSON in the
 * first argument, answers go to stdout, one JSON value a line. A failure ends the process with 1.
 */
import type { Interface } from "node:readline";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import type { CompactionReport, CompactionTask } from "../../src/compaction/report.ts";
import { CostMeter } from "../../src/core/cost-meter.ts";
import { OnceInProgressError, OpslogError, UnavailableError } from "../../src/core/errors.ts";
import type { ProtocolSettings } from "../../src/core/settings.ts";
import { compactMetered } from "../../src/compaction/compact.ts";
import { Store } from "../../src/store/store.ts";
import { backendFor } from "./medium.ts";
import { recordSent, RecordedStore } from "../register/recorded-store.ts";
import { RegisterJournal, steadyMs } from "../register/journal.ts";
import { isTransient } from "./transient.ts";
import { Contender } from "./contender.ts";
import type { ContenderTask } from "./contender.ts";
import { openPatiently, writeUntilKilled } from "./writer.ts";
import type { SharedRecords, WriterTask } from "./writer.ts";

export type WorkerTask = {
  readonly location: string;
  readonly settings: Settings;
  /** On a directory. Default true. */
  readonly fsync?: boolean | undefined;
  /** The way to the medium is disturbed: what may be tried again is no failure. */
  readonly disturbed?: boolean | undefined;
} & (
  | {
      readonly kind: "write-one";
      readonly agentId: string;
      readonly id: string;
      readonly shared: SharedRecords;
    }
  /** `announces`: it answers `{ published: true }` at each publication, before the totals. */
  | {
      readonly kind: "compact";
      readonly announces?: boolean;
      /** Its part of the work. Default: all of it. */
      readonly task?: CompactionTask | undefined;
    }
  | { readonly kind: "hold" }
  /** Answers `{ ran: true }` when its function runs, which never ends where it `hangs`. */
  | {
      readonly kind: "once";
      readonly agentId: string;
      readonly key: string;
      readonly leaseMs: number;
      readonly hangs: boolean;
    }
  | ({ readonly kind: "write" } & WriterTask)
  | ({ readonly kind: "contend" } & ContenderTask)
);

type OnceTask = Extract<WorkerTask, { readonly kind: "once" }>;

export type Settings = Partial<ProtocolSettings>;

/** Passes of a compactor by outcome, and what they merged. */
export type CompactorTotals = Record<CompactionReport["outcome"] | "segments" | "deleted", number>;

/** A compactor that has nothing to do looks again after this. */
const IDLE_MS = 10;
/** A server is busy for so long at most. */
const REFUSED_MS_MAX = 60_000;
const REFUSED_PAUSE_MS_MAX = 2_000;

const task: WorkerTask = JSON.parse(process.argv[2] ?? "");

function answer(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/**
 * One record by a store that knows nothing, as a cold invocation of a function does it, then those
 * that everybody writes, and a look at each.
 */
async function writeOne(agentId: string, id: string, shared: SharedRecords): Promise<void> {
  const { location, settings } = task;
  const backend = await backendFor(location, settings);
  const journal = new RegisterJournal(shared.journal);
  recordSent(backend, journal);
  const options = { ...settings, backend, agentId, skipLoad: true };
  const openingMs = steadyMs();
  // A server that has too much to do refuses for seconds: that says "try again", as a caller does.
  await using store = await untilCarriedOut(() => Store.open(location, options));
  await untilCarriedOut(() => store.set(id, { by: agentId }));
  const recorded = new RecordedStore(store, journal, shared.journal, openingMs);
  for (const one of shared.ids) await recorded.write(one);
  for (const one of shared.ids) await recorded.read(one);
  answer({ acknowledged: id });
}

/** Tried again as long as it tells that nothing was written, and to try again. */
async function untilCarriedOut<T>(work: () => Promise<T>): Promise<T> {
  const untilMs = steadyMs() + REFUSED_MS_MAX;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof UnavailableError) || steadyMs() > untilMs) throw error;
      await delay(Math.random() * REFUSED_PAUSE_MS_MAX);
    }
  }
}

/** Undefined, after a while, where a disturbance ended it. */
async function orWait<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (task.disturbed !== true || !isTransient(error)) throw error;
    await delay(IDLE_MS);
    return undefined;
  }
}

async function compactUntilEnd(
  input: Interface,
  announces: boolean,
  part: CompactionTask | undefined,
): Promise<void> {
  const totals: CompactorTotals = {
    published: 0,
    idle: 0,
    busy: 0,
    lost: 0,
    stopped: 0,
    segments: 0,
    deleted: 0,
  };
  const end = new AbortController();
  input.once("close", () => end.abort());
  while (!end.signal.aborted) {
    const backend = await backendFor(task.location, task.settings, task.fsync);
    const options = { ...task.settings, backend };
    const report = await orWait(() =>
      compactMetered(task.location, options, new CostMeter(), { task: part }),
    );
    if (report === undefined) continue;
    totals[report.outcome]++;
    totals.segments += report.segments;
    totals.deleted += report.deleted;
    if (report.outcome !== "published") await delay(IDLE_MS);
    else if (announces) answer({ published: true });
  }
  answer(totals);
}

/** Keeps the store open as its single writer, and writes whenever it is told to. */
async function hold(input: Interface): Promise<void> {
  await using store = await openPatiently(task.location, task.settings, {});
  await store.set("held", { by: process.pid });
  answer({ held: true });
  let n = 0;
  for await (const _ of input) {
    const id = `written ${++n}`;
    try {
      await store.set(id, { by: process.pid });
      answer({ acknowledged: id });
    } catch (error) {
      if (!(error instanceof OpslogError)) throw error;
      answer({ code: error.code });
    }
  }
}

/** Calls a function once, as a webhook whose sender repeats it until it is answered. */
async function callOnce({ agentId, key, leaseMs, hangs }: OnceTask): Promise<void> {
  const { location, settings } = task;
  const backend = await backendFor(location, settings);
  await using store = await Store.open(location, { ...settings, backend, agentId, skipLoad: true });
  const fn = async (): Promise<string> => {
    answer({ ran: true });
    // The process is to be killed meanwhile, and waits for that.
    if (hangs) await delay(60_000);
    return agentId;
  };
  for (;;) {
    try {
      return answer({ result: await store.once(key, fn, { leaseMs }) });
    } catch (error) {
      if (!(error instanceof OnceInProgressError)) throw error;
      await delay(20);
    }
  }
}

/** Answers when it is open, and when it has done all it was to do. */
async function contend(contender: ContenderTask): Promise<void> {
  const { location, settings, fsync, disturbed = false } = task;
  const { agentId } = contender;
  const open = async (): Promise<Store<unknown>> => {
    const backend = await backendFor(location, settings, fsync);
    const quiet = { backlogSegments: Infinity };
    return Store.open<unknown>(location, {
      ...settings,
      ...quiet,
      backend,
      agentId,
      skipLoad: true,
    });
  };
  await using store = await untilCarriedOut(open);
  answer({ open: true });
  await new Contender(store, contender, disturbed).run();
  answer({ done: true });
}

async function run(): Promise<void> {
  const input = createInterface({ input: process.stdin });
  // What a cold process pays for loading code is not what the tests race about.
  await backendFor(task.location);
  answer({ ready: true });
  const isTold = await new Promise<boolean>((resolve) => {
    input.once("line", () => resolve(true));
    input.once("close", () => resolve(false));
  });
  // It was started at the very end of its test.
  if (!isTold) return;
  switch (task.kind) {
    case "write-one":
      await writeOne(task.agentId, task.id, task.shared);
      break;
    case "compact":
      await compactUntilEnd(input, task.announces === true, task.task);
      break;
    case "hold":
      await hold(input);
      break;
    case "once":
      await callOnce(task);
      break;
    case "write":
      await writeUntilKilled(task, task, answer);
      break;
    case "contend":
      await contend(task);
  }
  input.close();
}

await run();
