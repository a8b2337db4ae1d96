/** The metrics of a compactor: one line of JSON in CloudWatch's embedded metric format. Pure. */
import type { CompactorReport } from "./store-compaction.ts";

/** Names that alarms are set on; each with its unit. */
const UNITS = {
  /** Flushes that no snapshot held when the invocation began. */
  BacklogSegments: "Count",
  /** Age of the oldest of them. */
  BacklogAgeMs: "Milliseconds",
  /** Since the last publication, while there is a backlog. */
  CompactionLagMs: "Milliseconds",
  /** Runs that a point read may look into: at most 8, unless larger merges do not fit into the time. */
  Runs: "Count",
  /** Bytes of runs that should be merged and do not fit into the time of an invocation; else 0. */
  WaitingRunBytes: "Bytes",
  /** Passes that another compactor was faster than. */
  Conflicts: "Count",
  /** 1 when the store could not be compacted, else 0. */
  Failures: "Count",
  /** Of the invocation, for this store. */
  DurationMs: "Milliseconds",
} as const;

const NAMESPACE = "Opslog";

export interface MeasuredTurn {
  readonly location: string;
  /** What was done, also before a failure. */
  readonly report?: CompactorReport | undefined;
  readonly failed: boolean;
  readonly durationMs: number;
}

/** @param nowMs ms since 1970; of a failed turn only what is known is reported */
export function metricsLine(
  { location, report, failed, durationMs }: MeasuredTurn,
  nowMs: number,
): string {
  const values: Partial<Record<keyof typeof UNITS, number>> = {
    ...(report && {
      BacklogSegments: report.backlog.segments,
      BacklogAgeMs: report.backlog.ageMs,
      CompactionLagMs: report.backlog.lagMs,
      Runs: report.runs,
      WaitingRunBytes: report.waiting.bytes,
      Conflicts: report.conflicts,
    }),
    Failures: failed ? 1 : 0,
    DurationMs: durationMs,
  };
  const metrics = Object.entries(UNITS)
    .filter(([name]) => name in values)
    .map(([Name, Unit]) => ({ Name, Unit }));
  const described = { Namespace: NAMESPACE, Dimensions: [["Store"]], Metrics: metrics };
  const _aws = { Timestamp: nowMs, CloudWatchMetrics: [described] };
  return JSON.stringify({ _aws, Store: location, ...values });
}
