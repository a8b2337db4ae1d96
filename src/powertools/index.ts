/** `opslog-serverless/powertools`: idempotent functions of Powertools for AWS Lambda over a store. */
import {
  IdempotencyItemAlreadyExistsError,
  IdempotencyItemNotFoundError,
  IdempotencyRecordStatus,
} from "@aws-lambda-powertools/idempotency";
import {
  BasePersistenceLayer,
  IdempotencyRecord,
} from "@aws-lambda-powertools/idempotency/persistence";
import { describeValue } from "../core/describe.ts";
import { InvalidArgumentError, OnceLostError } from "../core/errors.ts";
import { HIDDEN_RECORDS, idempotencyId } from "../core/hidden.ts";
import { checkNames } from "../core/options.ts";
import { decodeIdempotency, type IdempotencyState } from "../format/once-record.ts";
import type { HiddenRecords } from "../store/hidden-records.ts";
import type { Store } from "../store/store.ts";

/** A store, whatever its records are. */
export type IdempotencyStore = Pick<Store, "once" | "flush">;

/** Options of `StorePersistenceLayer`. */
export interface StorePersistenceOptions {
  /**
   * An open store; or a function that returns one, which each request calls.
   * Its writes are immediate, and it has an `agentId` where several processes write.
   */
  readonly store: IdempotencyStore | (() => IdempotencyStore | Promise<IdempotencyStore>);
}

const NAMES = new Set(["store"]);

/**
 * Keeps the records of `makeIdempotent` in a store, by conditional writes. Reads and scans do not show
 * them, and compactions remove them when they have expired.
 * @example
 * const persistenceStore = new StorePersistenceLayer({ store });
 * export const handler = makeIdempotent(charge, { persistenceStore });
 */
export class StorePersistenceLayer extends BasePersistenceLayer {
  readonly #store: StorePersistenceOptions["store"];
  /** Of what this layer has put and not completed, by key: who holds it. */
  readonly #holders = new Map<string, string>();

  /** @throws InvalidArgumentError */
  constructor(options: StorePersistenceOptions) {
    super();
    checkNames(options, NAMES);
    const { store } = options;
    if (typeof store !== "function" && !isStore(store)) {
      const found = describeValue(store);
      throw new InvalidArgumentError(`option store: expected a store, found ${found}`);
    }
    this.#store = store;
  }

  /** @throws IdempotencyItemNotFoundError */
  protected override async _getRecord(idempotencyKey: string): Promise<IdempotencyRecord> {
    const records = await this.#records();
    let found: IdempotencyState | undefined;
    await records.change(idempotencyId(idempotencyKey), { fresh: true }, (value) => {
      found = decodeIdempotency(value);
      return undefined;
    });
    if (found === undefined) throw new IdempotencyItemNotFoundError("there is no such record");
    return recordOf(idempotencyKey, found);
  }

  /** @throws IdempotencyItemAlreadyExistsError unless there is none, or it expired by the medium's date */
  protected override async _putRecord(record: IdempotencyRecord): Promise<void> {
    const { idempotencyKey: key } = record;
    const records = await this.#records();
    const holder = records.newHolder();
    await records.change(idempotencyId(key), { fresh: true }, (value, nowMs) => {
      const found = decodeIdempotency(value);
      // An attempt of unknown outcome was written.
      if (found?.holder === holder) return undefined;
      if (found !== undefined && !isFree(found, nowMs)) {
        const message = `Failed to put record for already existing idempotency key: ${key}`;
        throw new IdempotencyItemAlreadyExistsError(message, recordOf(key, found));
      }
      return stateOf(record, "running", holder);
    });
    this.#holders.set(key, holder);
  }

  /** @throws OnceLostError once another has taken the key over, because the time to run was over */
  protected override async _updateRecord(record: IdempotencyRecord): Promise<void> {
    const { idempotencyKey: key } = record;
    const id = idempotencyId(key);
    const records = await this.#records();
    const held = this.#holders.get(key);
    const holder = held ?? records.newHolder();
    this.#holders.delete(key);
    await records.change(id, { fresh: false }, (value) => {
      const found = decodeIdempotency(value);
      // An attempt of unknown outcome was written.
      if (found?.state === "done" && found.holder === holder) return undefined;
      const isOthers = found !== undefined && found.holder !== holder;
      if (held !== undefined && isOthers) throw new OnceLostError(key, id);
      return stateOf(record, "done", holder);
    });
  }

  /** Leaves what another has taken over. */
  protected override async _deleteRecord({
    idempotencyKey: key,
  }: IdempotencyRecord): Promise<void> {
    const records = await this.#records();
    const held = this.#holders.get(key);
    this.#holders.delete(key);
    await records.change(idempotencyId(key), { fresh: false }, (value) => {
      const found = decodeIdempotency(value);
      const isOwn = held === undefined || found?.holder === held;
      return found !== undefined && isOwn ? "absent" : undefined;
    });
  }

  async #records(): Promise<HiddenRecords> {
    const store: unknown = typeof this.#store === "function" ? await this.#store() : this.#store;
    if (isStore(store)) return store[HIDDEN_RECORDS]();
    const found = describeValue(store);
    throw new InvalidArgumentError(`option store: expected a store, found ${found}`);
  }
}

/** Also of the other build of this package. */
function isStore(value: unknown): value is { [HIDDEN_RECORDS](): HiddenRecords } {
  return typeof value === "object" && value !== null && HIDDEN_RECORDS in value;
}

function isFree({ state, expires, leaseEnds }: IdempotencyState, nowMs: number): boolean {
  return expires < nowMs || (state === "running" && leaseEnds !== undefined && leaseEnds < nowMs);
}

function stateOf(
  record: IdempotencyRecord,
  state: IdempotencyState["state"],
  holder: string,
): IdempotencyState {
  const {
    expiryTimestamp,
    inProgressExpiryTimestamp: leaseEnds,
    payloadHash,
    responseData,
  } = record;
  const expires =
    expiryTimestamp === undefined ? Number.MAX_SAFE_INTEGER : Math.ceil(expiryTimestamp * 1_000);
  return {
    state,
    holder,
    expires,
    ...(leaseEnds === undefined ? {} : { leaseEnds: Math.ceil(leaseEnds) }),
    ...(payloadHash === undefined ? {} : { payloadHash }),
    ...(responseData === undefined ? {} : { result: responseData }),
  };
}

/** Its caller may change the response. */
function recordOf(idempotencyKey: string, found: IdempotencyState): IdempotencyRecord {
  const { state, expires, leaseEnds, payloadHash, result } = found;
  const { COMPLETED, INPROGRESS } = IdempotencyRecordStatus;
  return new IdempotencyRecord({
    idempotencyKey,
    status: state === "done" ? COMPLETED : INPROGRESS,
    ...(expires === Number.MAX_SAFE_INTEGER ? {} : { expiryTimestamp: expires / 1_000 }),
    ...(leaseEnds === undefined ? {} : { inProgressExpiryTimestamp: leaseEnds }),
    ...(payloadHash === undefined ? {} : { payloadHash }),
    ...(result === undefined ? {} : { responseData: structuredClone(result) as string }),
  });
}
