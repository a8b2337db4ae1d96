/** What one child process does, and what it and its parent say to each other. */

export type EngineName = "ours" | "original";
export const ENGINES: readonly EngineName[] = ["ours", "original"];

/** `records` are those that the store was filled with. */
export type Task =
  /** Makes a compacted store. Not measured. */
  | { readonly name: "fill"; readonly records: number }
  /** Adds single writes that are not compacted, by several writers. Not measured. */
  | { readonly name: "log"; readonly writes: number }
  | { readonly name: "point-read"; readonly records: number }
  | { readonly name: "read-many"; readonly records: number; readonly neighbours: boolean }
  | { readonly name: "scan"; readonly records: number }
  | { readonly name: "cold-write" }
  | { readonly name: "concurrent-writers"; readonly writers: number }
  | { readonly name: "open-log"; readonly records: number; readonly writes: number }
  | { readonly name: "open-log-eager"; readonly records: number; readonly writes: number }
  | { readonly name: "compact-log"; readonly records: number; readonly writes: number }
  | { readonly name: "refresh" };

export interface Place {
  readonly bucket: string;
  readonly prefix: string;
}

export interface Assignment {
  readonly engine: EngineName;
  readonly place: Place;
  /** Of the proxy; what is not measured goes to OPSLOG_TEST_S3_ENDPOINT directly. */
  readonly endpoint: string;
  /** For further clients, each counted by itself. */
  readonly otherEndpoints: readonly string[];
  readonly task: Task;
}

/** Figures by name; the unit is part of the name. */
export type Figures = Readonly<Record<string, number>>;

export type FromChild =
  | { readonly kind: "begin" }
  | {
      readonly kind: "end";
      readonly section: string;
      readonly wallMs: number;
      readonly peakRssBytes: number;
    }
  /** A figure beside the cost of a section that has ended. */
  | { readonly kind: "also"; readonly section: string; readonly figures: Figures }
  | { readonly kind: "not-available"; readonly section: string; readonly reason: string }
  | { readonly kind: "failed"; readonly message: string; readonly isWrongAnswer: boolean };
