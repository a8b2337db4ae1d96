/** What a process of the contention is to do, and what it did. */

export interface Job {
  readonly location: string;
  readonly endpoint: string;
  readonly agentId: string;
  /** `update`, or a read and a `set` over what was read. */
  readonly call: "update" | "set over";
  /** Each call is on one of so many records. */
  readonly records: number;
  readonly seconds: number;
  readonly callsMax: number;
}

export interface Requests {
  readonly get: number;
  readonly head: number;
  readonly put: number;
  readonly list: number;
  readonly delete: number;
}

export interface Done {
  /** Calls that were carried out, and that a condition or the deadline refused. */
  readonly done: number;
  readonly refused: number;
  readonly failed: number;
  readonly ms: number;
  readonly requests: Requests;
  readonly roundTrips: number;
}
