/** A writer that journals what it is about to do and what was acknowledged, until it is killed. */
import { setTimeout as delay } from "node:timers/promises";
import {
  LockedError,
  OpslogError,
  RecordNotFoundError,
  WriteOutcomeUnknownError,
} from "../../src/core/errors.ts";
import type { StorageBackend } from "../../src/storage/backend.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { Store } from "../../src/store/store.ts";
import { JournalFile } from "./journal-file.ts";
import type { Journal } from "./journal-file.ts";
import { tagOf } from "./journal.ts";
import type { JournaledOperation } from "./journal.ts";
import { backendFor } from "./medium.ts";
import { dice } from "./random.ts";
import type { Dice } from "./random.ts";
import { recordSent, RecordedStore } from "../register/recorded-store.ts";
import { RegisterJournal, steadyMs } from "../register/journal.ts";
import { isTransient } from "./transient.ts";
import type { Settings } from "./worker.ts";

export interface WriterTask {
  readonly location: string;
  /** Undefined: the single writer. */
  readonly agentId?: string | undefined;
  readonly lazy: boolean;
  readonly checkpointThreshold?: number | undefined;
  /** One record a call; deletions among them; whole batches; all of these. */
  readonly calls: "set" | "delete" | "batch" | "any";
  /** The only ids it writes, and nobody else does. */
  readonly ids: readonly string[];
  /** Counts the processes that wrote these ids, one after the other. */
  readonly incarnation: number;
  /** Calls under way at once. */
  readonly lanes: number;
  /** Buffered writes count as acknowledged by the `flush` after them. Default "immediate". */
  readonly writeMode?: "group" | "async" | undefined;
  readonly journal: string;
  /** Others write these, too; every call on them is recorded. */
  readonly shared?: SharedRecords | undefined;
  readonly seed: number;
}

export interface SharedRecords {
  readonly ids: readonly string[];
  /** Of the register's lines, a file of this process alone. */
  readonly journal: string;
}

const LOCK_WAIT_MS = 20_000;
const LOCK_LOOK_MS = 50;
const BATCH_MAX = 8;
const PADDING_MAX = 400;
/** Of a writer that buffers: small, so that both size and time begin flushes. */
const GROUP = { groupCommitSize: 12, groupCommitMs: 5 };
const FLUSHES = 0.2;
const STRONG_READS = 0.25;
const SHARED_GAP_MS_MAX = 200;

interface WriterOptions {
  readonly settings: Settings;
  readonly fsync?: boolean | undefined;
  readonly disturbed?: boolean | undefined;
}

interface PatientOptions {
  readonly fsync?: boolean | undefined;
  /** Given each backend before it is used. */
  readonly onBackend?: (backend: StorageBackend) => void;
}

/** Waits for a dead single writer's lock to end, as an operator's restart loop would. */
export async function openPatiently(
  location: string,
  settings: Settings,
  options: StoreOptions,
  { fsync = true, onBackend }: PatientOptions = {},
): Promise<Store> {
  const untilMs = Date.now() + LOCK_WAIT_MS;
  for (;;) {
    try {
      const backend = await backendFor(location, settings, fsync);
      onBackend?.(backend);
      const quiet = { backlogSegments: Infinity };
      return await Store.open(location, { ...settings, ...quiet, ...options, backend });
    } catch (error) {
      if (!(error instanceof LockedError) || Date.now() > untilMs) throw error;
      await delay(LOCK_LOOK_MS);
    }
  }
}

/** Answers when it is open, and for every acknowledgement. Never returns. */
export async function writeUntilKilled(
  task: WriterTask,
  { settings, fsync, disturbed }: WriterOptions,
  answer: (value: object) => void,
): Promise<void> {
  const { agentId, lazy: skipLoad, checkpointThreshold, ids, lanes, writeMode } = task;
  const options = { agentId, skipLoad, checkpointThreshold, writeMode, ...GROUP };
  const register = task.shared && new RegisterJournal(task.shared.journal);
  const onBackend = (backend: StorageBackend): void => register && recordSent(backend, register);
  const openingMs = steadyMs();
  const open = (): Promise<Store> =>
    openPatiently(task.location, settings, options, { fsync, onBackend });
  const store = disturbed === true ? await undisturbed(open) : await open();
  const plan = { ...task, disturbed };
  const writer = new JournalingWriter(store, plan, new JournalFile(task.journal), (n) =>
    answer({ acknowledged: n }),
  );
  // Resident from here on, so that `has` knows what may be deleted.
  const look = (): Promise<unknown> => store.readMany(ids);
  await (disturbed === true ? undisturbed(look) : look());
  answer({ open: true });
  const calls = Array.from({ length: lanes }, async () => {
    for (;;) await writer.call();
  });
  if (register !== undefined && task.shared !== undefined) {
    const recorded = new RecordedStore(store, register, task.shared.journal, openingMs);
    calls.push(writeShared(recorded, task.shared.ids, dice(task.seed + 1)));
  }
  await Promise.all(calls);
}

/** Beside the process's own records. Never returns. */
async function writeShared(
  recorded: RecordedStore,
  ids: readonly string[],
  chance: Dice,
): Promise<never> {
  for (;;) {
    const [id = ""] = chance.pick(ids, 1);
    if (chance.chance(STRONG_READS)) await recorded.read(id);
    else await recorded.write(id);
    await delay(chance.below(SHARED_GAP_MS_MAX));
  }
}

async function undisturbed<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isTransient(error)) throw error;
      await delay(LOCK_LOOK_MS);
    }
  }
}

/** What to call, and with what. */
export type CallPlan = Pick<WriterTask, "calls" | "ids" | "incarnation" | "seed" | "writeMode"> & {
  /** What may be tried again is then no failure of the writer. */
  readonly disturbed?: boolean | undefined;
};

export class JournalingWriter {
  readonly #store: Store;
  readonly #task: CallPlan;
  readonly #journal: Journal;
  readonly #dice: Dice;
  readonly #onAcknowledged: (n: number) => void;
  #n = 0;
  /** Calls that resolved before they were durable. */
  #buffered: number[] = [];

  constructor(
    store: Store,
    task: CallPlan,
    journal: Journal,
    onAcknowledged: (n: number) => void = () => undefined,
  ) {
    this.#store = store;
    this.#onAcknowledged = onAcknowledged;
    this.#task = task;
    this.#journal = journal;
    this.#dice = dice(task.seed);
  }

  /** Intent, call, outcome: the order of the intents of an id is the order of its calls. */
  async call(): Promise<void> {
    const n = ++this.#n;
    const operations = this.#choose();
    this.#journal.append({ n, operations });
    try {
      await this.#perform(n, operations);
      if (this.#task.writeMode === undefined) this.#acknowledge([n]);
      else await this.#flushSometimes(n);
    } catch (error) {
      const isRefused = error instanceof RecordNotFoundError || this.#mayRetry(error);
      if (isRefused) this.#journal.append({ n, outcome: "refused" });
      // It may have landed, as the journal says by the intent alone.
      else if (!(error instanceof WriteOutcomeUnknownError)) throw error;
    }
  }

  #mayRetry(error: unknown): boolean {
    const isRetry = error instanceof OpslogError && error.action === "retry";
    return isRetry && this.#task.disturbed === true && this.#task.writeMode === undefined;
  }

  async #flushSometimes(n: number): Promise<void> {
    this.#buffered.push(n);
    if (!this.#dice.chance(FLUSHES)) return;
    const accepted = this.#buffered.splice(0);
    await this.#store.flush();
    this.#acknowledge(accepted);
  }

  #acknowledge(calls: readonly number[]): void {
    for (const n of calls) {
      this.#journal.append({ n, outcome: "acknowledged" });
      this.#onAcknowledged(n);
    }
  }

  #choose(): JournaledOperation[] {
    const { calls, ids } = this.#task;
    const batched = calls === "batch" || (calls === "any" && this.#dice.chance(0.3));
    const deletions = calls === "set" ? 0 : 0.4;
    const chosen = this.#dice.pick(ids, batched ? 2 + this.#dice.below(BATCH_MAX - 1) : 1);
    return chosen.map((id) => {
      const isDeletion = this.#store.has(id) && this.#dice.chance(deletions);
      return { id, op: isDeletion ? "delete" : "set" };
    });
  }

  async #perform(n: number, operations: readonly JournaledOperation[]): Promise<void> {
    const tag = tagOf(this.#task.incarnation, n);
    const padding = "x".repeat(this.#dice.below(PADDING_MAX));
    const one = ({ id, op }: JournaledOperation): Promise<void> =>
      op === "set" ? this.#store.set(id, { tag, padding }) : this.#store.delete(id);
    const [first] = operations;
    if (operations.length === 1 && first !== undefined) return one(first);
    return this.#store.batch(() => {
      for (const operation of operations) void one(operation);
    });
  }
}
