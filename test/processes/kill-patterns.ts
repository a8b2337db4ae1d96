/** Who writes how in the tests that kill. */
import type { Settings } from "./worker.ts";
import type { WriterTask } from "./writer.ts";

export type WriterPattern = Pick<
  WriterTask,
  "agentId" | "lazy" | "checkpointThreshold" | "calls" | "lanes" | "writeMode"
>;

export interface Pattern {
  readonly name: string;
  readonly writers: readonly WriterPattern[];
  readonly compactors: number;
  /** Whether a compaction is expected to be published before the last one. */
  readonly compacts: boolean;
  readonly settings: Settings;
}

/** Nothing is kept for comfort, and a dead holder's lease ends soon. */
const SETTINGS: Settings = { gcGraceMs: 0, segmentGraceMs: 0, leaseTtlMs: 300 };
/** Deletions are forgotten during the test. */
const PURGING: Settings = { ...SETTINGS, tombstoneGraceMs: 4_000, writerLagMs: 2_000 };

export const PATTERNS: readonly Pattern[] = [
  {
    name: "one eager writer that compacts by itself",
    writers: [{ lazy: false, checkpointThreshold: 8, calls: "set", lanes: 4 }],
    compactors: 0,
    compacts: true,
    settings: SETTINGS,
  },
  {
    name: "one lazy writer of batches",
    writers: [{ lazy: true, calls: "batch", lanes: 2 }],
    compactors: 0,
    compacts: false,
    settings: SETTINGS,
  },
  {
    name: "two lazy agents and an eager one beside two compactors",
    writers: [
      { agentId: "a", lazy: true, calls: "batch", lanes: 3 },
      { agentId: "b", lazy: true, calls: "delete", lanes: 1 },
      { agentId: "c", lazy: false, calls: "any", lanes: 4 },
    ],
    compactors: 2,
    compacts: true,
    settings: SETTINGS,
  },
  {
    name: "two agents that compact by themselves, deletions purged",
    writers: [
      { agentId: "a", lazy: true, checkpointThreshold: 5, calls: "any", lanes: 4 },
      { agentId: "b", lazy: false, checkpointThreshold: 8, calls: "delete", lanes: 2 },
    ],
    compactors: 0,
    compacts: true,
    settings: PURGING,
  },
  {
    name: "one eager writer that groups its writes",
    writers: [{ lazy: false, checkpointThreshold: 30, calls: "any", lanes: 4, writeMode: "group" }],
    compactors: 1,
    compacts: true,
    settings: SETTINGS,
  },
  {
    name: "one lazy writer that never waits",
    writers: [{ lazy: true, calls: "any", lanes: 2, writeMode: "async" }],
    compactors: 1,
    compacts: true,
    settings: SETTINGS,
  },
];
