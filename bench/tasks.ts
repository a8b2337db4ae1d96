/** What one child process does and answers; nothing here compares. */
import type { BenchOptions, EngineName } from "./engines.ts";

export type Task =
  /** Makes a store of `records` records, closed. */
  | { readonly name: "fill"; readonly records: number; readonly recordBytes: number }
  /** Opens it and updates single records, one after the other. */
  | {
      readonly name: "update";
      readonly records: number;
      readonly recordBytes: number;
      readonly updates: number;
    }
  /** Sets new records, one after the other, without checkpoints. */
  | {
      readonly name: "write";
      readonly writeMode: NonNullable<BenchOptions["writeMode"]>;
      readonly writes: number;
      readonly recordBytes: number;
    }
  /** Makes a store whose snapshot has about `bytes` bytes, with `logged` more updates in its log. */
  | {
      readonly name: "grow";
      readonly bytes: number;
      readonly recordBytes: number;
      readonly logged: number;
    }
  /** Streams the snapshot and the log. */
  | { readonly name: "stream" };

export interface Assignment {
  readonly engine: EngineName;
  readonly location: string;
  readonly task: Task;
}

/** Figures by name; the unit is part of the name. */
export type Figures = Readonly<Record<string, number>>;
