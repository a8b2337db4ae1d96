/**
 * Calls that run once by their key: a hidden record tells that one is under way, until when, and what
 * came of it. Each of its changes is a conditional write (PROTOCOL, E1 to E6).
 */
import { describeValue } from "../core/describe.ts";
import { InvalidArgumentError, OnceInProgressError, OnceLostError } from "../core/errors.ts";
import { onceId } from "../core/hidden.ts";
import { checkNames, positive, wrong } from "../core/options.ts";
import { messageOf } from "../core/realm.ts";
import { checkId, copyRecord, deepFreeze } from "../core/record.ts";
import { SILENT_ABORT } from "../core/silent-abort.ts";
import { decodeOnce, encodeOnce, type OnceState } from "../format/once-record.ts";
import type { FoundRecord } from "../session/claim-draft.ts";
import type { Session } from "../session/session.ts";
import { DEADLINE_MS } from "./conditions.ts";
import type { ChangeOptions, HiddenRecords } from "./hidden-records.ts";
import type { Mutations } from "./mutations.ts";

/** Options of `once`. */
export interface OnceOptions {
  /** How long the result is kept, and returned instead of a second run. Default 86,400,000: a day. */
  readonly ttlMs?: number | undefined;
  /**
   * After so long without a sign of life of whoever runs the function, another may run it. While it
   * runs, a third of that apart, the store renews the lease. At least 1,000; default 60,000.
   */
  readonly leaseMs?: number | undefined;
}

const NAMES = new Set(["ttlMs", "leaseMs"]);
const TTL_MS = 86_400_000;
const LEASE_MS = 60_000;
/** Media date their answers in whole seconds. */
const LEASE_MS_MIN = 1_000;
/** 100 years: a date plus that is still a date. */
const MS_MAX = 3_153_600_000_000;
/** A result that is kept for less than that is kept so long to the second. */
const SHORT_TTL_MS = 600_000;

interface Call {
  readonly key: string;
  readonly id: string;
  /** Of this run of the function, like no other. */
  readonly holder: string;
  readonly ttlMs: number;
  readonly leaseMs: number;
}

/** @param nowMs by the medium's date @returns what to write; undefined: nothing. */
type Decide = (found: OnceState | undefined, nowMs: number) => OnceState | "absent" | undefined;

export class Once {
  readonly #session: Session;
  readonly #mutations: Mutations;
  readonly #records: HiddenRecords;

  constructor(session: Session, mutations: Mutations, records: HiddenRecords) {
    this.#session = session;
    this.#mutations = mutations;
    this.#records = records;
  }

  /** As `Store.once` documents. @returns the store's copy of the result */
  run<R>(key: string, fn: () => R | Promise<R>, options: OnceOptions = {}): Promise<R> {
    this.#mutations.checkNoBatch("once");
    // Stored JSON becomes the caller's type: its word for what it returned.
    return this.#run(key, fn, options).then((result) => this.#handOut(result) as R);
  }

  #handOut(result: unknown): unknown {
    return this.#session.options.freezeRecords ? deepFreeze(result) : result;
  }

  async #run(key: string, fn: () => unknown, options: OnceOptions): Promise<unknown> {
    const call = this.#checked(key, fn, options);
    const known = await this.#take(call);
    if (known?.state === "done") return known.result;
    const result = await this.#runHeld(call, fn);
    return this.#complete(call, result);
  }

  #checked(key: string, fn: unknown, options: OnceOptions): Call {
    checkNames(options, NAMES);
    const id = onceId(checkId(key));
    checkId(id);
    if (typeof fn !== "function") {
      throw new InvalidArgumentError(`once: expected a function, found ${describeValue(fn)}`);
    }
    const ttlMs = positive(options.ttlMs, "ttlMs", TTL_MS, MS_MAX);
    const leaseMs = positive(options.leaseMs, "leaseMs", LEASE_MS, MS_MAX);
    if (leaseMs < LEASE_MS_MIN) throw wrong("leaseMs", `at least ${LEASE_MS_MIN}`, leaseMs);
    this.#mutations.checkMode("once");
    return { key, id, holder: this.#records.newHolder(), ttlMs, leaseMs };
  }

  /** E1, E2. @returns what is known of an earlier run; otherwise this one holds the key */
  async #take(call: Call): Promise<OnceState | undefined> {
    const { key, id, holder, leaseMs } = call;
    const taken = await this.#change(call, { fresh: true }, (found, nowMs) => {
      if (found?.state === "done" && nowMs <= found.expires) return undefined;
      // An attempt of unknown outcome was written.
      if (found?.holder === holder) return undefined;
      if (found?.state === "running" && nowMs <= found.expires) {
        throw new OnceInProgressError(key, Math.max(1, found.expires + 1 - nowMs), id);
      }
      return { state: "running", holder, expires: nowMs + leaseMs };
    });
    return taken === "written" ? undefined : this.#decode(key, taken.value);
  }

  /** E3 and E5. @returns the store's copy of the result */
  async #runHeld(call: Call, fn: () => unknown): Promise<unknown> {
    try {
      const result = await this.#whileRenewed(call, fn);
      return result === undefined ? undefined : copyRecord(call.id, result).value;
    } catch (error) {
      await this.#release(call);
      throw error;
    }
  }

  async #whileRenewed(call: Call, fn: () => unknown): Promise<unknown> {
    const ended = new AbortController();
    const renewing = this.#renew(call, ended.signal);
    try {
      return await fn();
    } finally {
      ended.abort(SILENT_ABORT);
      // What follows is decided on what it left.
      await renewing;
    }
  }

  /** E3. Never rejects: that the lease is lost shows at the end. */
  async #renew(call: Call, signal: AbortSignal): Promise<void> {
    const { key, leaseMs } = call;
    for (;;) {
      await this.#records.runtime.idle(leaseMs / 3, signal);
      if (signal.aborted) return;
      try {
        this.#session.checkOpen();
        await this.#change(call, { fresh: true }, (found, nowMs) => {
          return { ...this.#own(call, found), expires: nowMs + leaseMs };
        });
      } catch (error) {
        this.#warn(`once '${key}': the lease was not renewed: ${messageOf(error)}`);
        if (error instanceof OnceLostError) return;
      }
    }
  }

  /** E4. @throws OnceLostError */
  async #complete(call: Call, result: unknown): Promise<unknown> {
    const { holder, ttlMs } = call;
    this.#session.checkOpen();
    // Its date may be 10 s old then.
    const fresh = ttlMs < SHORT_TTL_MS;
    const how = { fresh, deadlineMs: Math.max(DEADLINE_MS, call.leaseMs) };
    await this.#change(call, how, (found, nowMs) => {
      // An attempt of unknown outcome was written.
      if (found?.state === "done" && found.holder === holder) return undefined;
      this.#own(call, found);
      return { state: "done", holder, expires: nowMs + ttlMs, result };
    });
    return result;
  }

  /** E5. Where it fails, the lease ends by itself. */
  async #release(call: Call): Promise<void> {
    try {
      await this.#change(call, { fresh: false }, (found) => {
        return found?.state === "running" && found.holder === call.holder ? "absent" : undefined;
      });
    } catch (error) {
      this.#warn(`once '${call.key}': the lease was not given back: ${messageOf(error)}`);
    }
  }

  /** @throws OnceLostError unless this run of the function holds the key */
  #own({ key, id, holder }: Call, found: OnceState | undefined): OnceState {
    if (found?.state === "running" && found.holder === holder) return found;
    throw new OnceLostError(key, id);
  }

  #change(call: Call, how: ChangeOptions, decide: Decide): Promise<FoundRecord | "written"> {
    return this.#records.change(call.id, how, (value, nowMs) => {
      const next = decide(this.#decode(call.key, value), nowMs);
      return next === undefined || next === "absent" ? next : encodeOnce(next);
    });
  }

  /** @throws InvalidArgumentError for a record of a store of the original, whose ids are its users' */
  #decode(key: string, value: unknown): OnceState | undefined {
    if (value === undefined) return undefined;
    const state = decodeOnce(value);
    if (state !== undefined) return state;
    throw new InvalidArgumentError(`once '${key}': its record was written by another program`);
  }

  #warn(message: string): void {
    this.#session.engine.onWarning(message);
  }
}
