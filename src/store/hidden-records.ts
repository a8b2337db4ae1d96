/** Records that only this package reads and writes, each change a conditional write (PROTOCOL, E6). */
import { WriteOutcomeUnknownError } from "../core/errors.ts";
import { copyRecord } from "../core/record.ts";
import type { Runtime } from "../core/runtime.ts";
import type { FoundRecord } from "../session/claim-draft.ts";
import type { StagedOperation } from "../session/memtable.ts";
import type { Session } from "../session/session.ts";
import { DEADLINE_MS } from "./conditions.ts";
import type { Mutations } from "./mutations.ts";

/** How often a change is decided anew whose outcome is unknown. */
const ATTEMPTS_MAX = 4;
const WAIT_MS = 50;

/**
 * What to write; undefined: nothing.
 * @param value of the record; undefined: there is none. After an attempt of unknown outcome it may be
 *   what that wrote, which the function must recognize
 * @param nowMs by the medium's date
 */
export type ChangeRecord = (value: unknown, nowMs: number) => object | "absent" | undefined;

export interface ChangeOptions {
  /** Decided in a view that began after the call, not in one that is up to 10 s old, as its date is. */
  readonly fresh: boolean;
  /** How long it is tried again while others are faster. Default 10,000. */
  readonly deadlineMs?: number;
}

export class HiddenRecords {
  readonly #session: Session;
  readonly #mutations: Mutations;

  constructor(session: Session, mutations: Mutations) {
    this.#session = session;
    this.#mutations = mutations;
  }

  get runtime(): Runtime {
    return this.#session.engine.runtime;
  }

  /** 16 hex digits like no others: they tell of a record who wrote it. */
  newHolder(): string {
    return this.runtime.randomHex(16);
  }

  /**
   * E6: what came of an attempt is settled, and decided anew where nothing did: another attempt is
   * refused where this one lands.
   * @returns the record afterwards; "written" where only that is known
   * @throws what `decide` throws; as a conditional `set`
   */
  async change(
    id: string,
    how: ChangeOptions,
    decide: ChangeRecord,
  ): Promise<FoundRecord | "written"> {
    this.#mutations.checkMode("once");
    let again = false;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#decide(id, { ...how, fresh: how.fresh || again }, decide);
      } catch (error) {
        if (!(error instanceof WriteOutcomeUnknownError) || attempt === ATTEMPTS_MAX) throw error;
        const outcome = await error.settle?.().catch(() => undefined);
        if (outcome === "written") return outcome;
        again = true;
        await this.runtime.sleep(this.runtime.random() * WAIT_MS * 2 ** attempt);
      }
    }
  }

  async #decide(
    id: string,
    { fresh, deadlineMs = DEADLINE_MS }: ChangeOptions,
    decide: ChangeRecord,
  ): Promise<FoundRecord> {
    const { options, replica } = this.#session;
    // Who writes alone decides on its memory; the date is to be of now all the same.
    if (options.agentId === "") await this.#session.refresh();
    return this.#mutations.decide({
      id,
      fresh,
      deadlineMs,
      decide: ({ value }) => {
        const next = decide(value, Math.floor(replica.view.lastDateMs));
        return next === undefined ? undefined : operationOf(id, next);
      },
    });
  }
}

function operationOf(id: string, next: object | "absent"): StagedOperation {
  if (next === "absent") return { op: "delete", id, text: undefined, value: undefined };
  return { op: "set", id, ...copyRecord(id, next) };
}
