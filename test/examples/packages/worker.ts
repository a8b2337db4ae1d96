/** What a child process is to the one that started it. */
import type { CompactionReport } from "opslog-serverless";
import type { Answer, Figures } from "./messages.ts";
import type { Entry } from "./record.ts";

export interface Worker {
  handle(entries: readonly Entry[]): Promise<Answer>;
  /** As `handle`, one record at a time. */
  sample(entries: readonly Entry[]): Promise<Answer>;
  /** What is left to tell; closes the store. */
  finish(): Promise<Answer>;
}

/** A worker, and what its start showed. */
export interface Started {
  readonly worker: Worker;
  readonly figures: Figures;
}

export interface WorkerContext {
  readonly location: string;
  /** Distinct for every process. */
  readonly agentId: string;
  readonly onPass: (report: CompactionReport) => void;
  /** Ends the process with this error: for work that no call waits for. */
  readonly fail: (error: unknown) => void;
}

export const NOTHING: Answer = { differences: [], figures: {} };

export function nothing(): Promise<Answer> {
  return Promise.resolve(NOTHING);
}
