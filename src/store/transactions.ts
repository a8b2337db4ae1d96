/** Transactions as callers see them: reads and writes of records by id, and the limits they set. */
import { describeValue } from "../core/describe.ts";
import { InvalidArgumentError } from "../core/errors.ts";
import { checkNames, positive } from "../core/options.ts";
import { checkUserId } from "../core/hidden.ts";
import type { TransactionBody, TransactionLimits } from "../session/evaluation.ts";
import { PATIENCE_MS } from "../session/open-intents.ts";
import type { TransactionWork } from "../session/transaction-work.ts";
import { deletion, setOperation } from "./operations.ts";

/** What the function of a transaction reads and writes with, until it has ended. */
export interface Transaction<T> {
  /**
   * The record, with what this transaction has written; undefined when there is none.
   * @throws InvalidArgumentError (id, more than 64 records, after the end), CorruptionError,
   *   UnavailableError; ConflictError when what it has read was changed: it then begins again
   */
  get(id: string): Promise<T | undefined>;
  /** Those of the records that exist, by id. @throws as `get` */
  getMany(ids: Iterable<string>): Promise<Map<string, T>>;
  /** Creates or replaces a record when the transaction takes effect. @throws InvalidArgumentError, also above 8 MiB */
  set(id: string, value: T): void;
  /** Deletes a record, if there is one, when the transaction takes effect. @throws InvalidArgumentError */
  delete(id: string): void;
}

/** What is run as a transaction; it may run again, so it writes by its argument alone. */
export type TransactionFunction<T, R> = (tx: Transaction<T>) => R | PromiseLike<R>;

/** Options of `transaction`. */
export interface TransactionOptions {
  /** How long it is tried again while others are faster, and how long its function may take. Default 10,000. */
  readonly deadlineMs?: number | undefined;
  /** How long a transaction of another may be under way before it is ended, where it is in the way. Default 1,000. */
  readonly patienceMs?: number | undefined;
}

const DEADLINE_MS = 10_000;
const NAMES = new Set(["deadlineMs", "patienceMs"]);

/** What is to be run, and how. */
export interface TransactionCall<R> {
  readonly body: TransactionBody<R>;
  readonly limits: TransactionLimits;
}

/**
 * @param handOut a record as callers get it
 * @throws InvalidArgumentError
 */
export function transactionCall<T, R>(
  fn: TransactionFunction<T, R>,
  options: TransactionOptions | undefined,
  handOut: (value: unknown) => T | undefined,
): TransactionCall<R> {
  if (typeof fn !== "function") {
    throw new InvalidArgumentError(`transaction needs a function, found ${describeValue(fn)}`);
  }
  return { body: (work) => fn(transactionOver(work, handOut)), limits: limitsOf(options) };
}

function limitsOf(options: TransactionOptions = {}): TransactionLimits {
  checkNames(options, NAMES);
  return {
    deadlineMs: positive(options.deadlineMs, "deadlineMs", DEADLINE_MS),
    patienceMs: positive(options.patienceMs, "patienceMs", PATIENCE_MS),
  };
}

/** @param handOut a record as callers get it */
export function transactionOver<T>(
  work: TransactionWork,
  handOut: (value: unknown) => T | undefined,
): Transaction<T> {
  const getMany = async (ids: Iterable<string>): Promise<Map<string, T>> => {
    const found = new Map<string, T>();
    for (const [id, value] of await work.read([...ids].map(checkUserId))) {
      const record = handOut(value);
      if (record !== undefined) found.set(id, record);
    }
    return found;
  };
  return {
    getMany,
    get: async (id) => (await getMany([id])).get(id),
    set: (id, value) => work.stage(setOperation(id, value)),
    delete: (id) => work.stage(deletion(checkUserId(id))),
  };
}
