/** Runs the function of a transaction, once, in the time that it has. */
import { AsyncLocalStorage } from "node:async_hooks";
import { ConflictError, InvalidArgumentError } from "../core/errors.ts";
import type { Runtime } from "../core/runtime.ts";
import { SILENT_ABORT } from "../core/silent-abort.ts";
import type { TransactionWork } from "./transaction-work.ts";

/** May run again. */
export type TransactionBody<R> = (work: TransactionWork) => R | PromiseLike<R>;

/** How a transaction is carried out. */
export interface TransactionLimits {
  /** How long it is tried again while others are faster. */
  readonly deadlineMs: number;
  /** How long others have for a transaction that has to be decided before. */
  readonly patienceMs: number;
}

interface Running {
  /** The store of the transaction. */
  readonly owner: object;
  readonly work: TransactionWork;
}

const RUNNING = new AsyncLocalStorage<Running>();

/** @throws InvalidArgumentError in the function of a transaction of this store */
export function checkOutside(owner: object): void {
  const running = RUNNING.getStore();
  if (running?.owner !== owner || running.work.hasEnded) return;
  throw new InvalidArgumentError(
    "inside a transaction records are written by its argument, not by the store: it may run again",
  );
}

/**
 * @param untilMs by the steady clock
 * @returns undefined: what it has read was changed meanwhile
 * @throws what the function throws; ConflictError when it has not ended in time
 */
export async function evaluate<R>(
  runtime: Runtime,
  { body, ...running }: Running & { readonly body: TransactionBody<R> },
  { deadlineMs, untilMs }: Pick<TransactionLimits, "deadlineMs"> & { readonly untilMs: number },
): Promise<{ readonly result: R } | undefined> {
  const { work } = running;
  const timer = new AbortController();
  const late = runtime.sleep(Math.max(0, untilMs - runtime.steadyMs()), timer.signal).then(() => {
    if (timer.signal.aborted) return undefined;
    throw new ConflictError(
      `the function of a transaction did not end within ${deadlineMs} ms; nothing was written`,
    );
  });
  const done = RUNNING.run(running, async () => ({ result: await body(work) }));
  try {
    const ended = await Promise.race([done, late]);
    return work.isOutdated ? undefined : ended;
  } catch (error) {
    if (work.isOutdated) return undefined;
    throw error;
  } finally {
    work.end();
    timer.abort(SILENT_ABORT);
  }
}
