/** What the processes of these measurements are told, and what they answer. */
import type { CostAnswer, StepFigures } from "./watched.ts";

/** Settings of compactors and of those who write beside them. */
export type Settings = Readonly<Record<string, number>>;

/** One invocation of the compactor. */
export interface InvocationTask {
  readonly location: string;
  readonly durationMs: number;
  readonly settings: Settings;
  readonly options: Readonly<Record<string, unknown>>;
}

export interface Invocation {
  readonly report: CostAnswer;
  readonly wallMs: number;
  /** Of the whole process: its start is in it. */
  readonly cpuMs: number;
  readonly peakRssBytes: number;
  readonly steps: readonly StepFigures[];
}

/** Flushes that nobody merges yet, one object each on S3. */
export interface LogTask {
  readonly location: string;
  /** Numbers of flushes: from <= n < to. */
  readonly from: number;
  readonly to: number;
  readonly recordsPerFlush: number;
  readonly recordBytes: number;
  /** How many records there are; what comes after the last is the first again. */
  readonly records: number;
  readonly revision: number;
  readonly lanes: number;
}

/** Writers that go on until their standard input ends. */
export interface WritersTask {
  readonly location: string;
  readonly from: number;
  readonly to: number;
  /** Writes of each. */
  readonly perSecond: number;
  readonly settings: Settings;
}

/** What was written last to an id: acknowledged, and sent. */
export interface Written {
  readonly acknowledged: number;
  readonly sent: number;
}

export interface WritersAnswer {
  readonly writes: number;
  readonly failures: readonly string[];
  readonly medianMs: number;
  readonly slowestMs: number;
  readonly ids: Readonly<Record<string, Written>>;
}

/** The log of a store is merged once, by either engine. */
export interface MergeTask {
  readonly engine: "ours" | "original";
  readonly bucket: string;
  readonly prefix: string;
}

export interface MergeAnswer {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakRssBytes: number;
}
