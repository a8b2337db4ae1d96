/** Operations: what the log holds and what history returns. */
import type { Version } from "./version.ts";

/** Reverse patch of top-level keys, used in place of `prev` where it is smaller. */
export interface Delta {
  /** Old values of changed or removed keys. */
  $set?: Record<string, unknown>;
  /** Keys that the operation added. */
  $unset?: string[];
}

/** The type of a record that a program does not name. */
export type Fields = Record<string, unknown>;

/** One operation as users see it: a WAL line. */
export interface Operation<T = Fields> {
  /** ISO 8601 with ms, by the writer's clock; for people, never for order. */
  readonly ts: string;
  /** What was done. */
  readonly op: "set" | "delete";
  /** Id of the record. */
  readonly id: string;
  /** The record written; absent for a delete. */
  readonly data?: T;
  /** The record before; null for a create; absent for a blind write. */
  readonly prev?: T | Delta | null;
  /** Set when `prev` is a reverse patch. */
  readonly encoding?: "delta";
  /** Only with `agentId`. */
  readonly agent?: string;
  /** The clock of its writer; orders operations on one record. */
  readonly clock?: number;
}

/** An operation as the log holds it: what the segment header holds is not repeated. */
export interface LogOperation {
  readonly ts: string;
  readonly op: "set" | "delete";
  readonly id: string;
  readonly clock: number;
  readonly data?: unknown;
  readonly prev?: unknown;
  /** "delta": `prev` is a reverse patch; "value": the previous record is the value null. */
  readonly encoding?: "delta" | "value";
  /** The operation that this one undoes. */
  readonly undoes?: Version;
  /** Of a guarded operation: the version that it was decided on, from which its own follows. */
  readonly base?: Version;
}
