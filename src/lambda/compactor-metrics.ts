/** The metrics of a compactor: one line of JSON in CloudWatch's embedded metric format. Pure. */
import type { CompactorReport } from "./store-compaction.ts";

/** Names that alarms are set on; each with its unit. */
const UNITS = {
  /** Flushes and guarded writes that no snapshot held when the invocation began. */
  BacklogSegments: "Count",
  /** Age of the oldest of them. */
  BacklogAgeMs: "Milliseconds",
  /** Since the last publication, while there is a backlog. */
  CompactionLagMs: "Milliseconds",
  /** 1 while more is written than is merged, else 0 (`forecast.outlook`). */
  FallingBehind: "Count",
  /** When nothing waits any more; left out where that is not known. */
  ForecastMs: "Milliseconds",
  /** Runs of the store. */
  Runs: "Count",
  /** A point read looks into one run of each: at most 12 while compaction keeps up. */
  Levels: "Count",
  /** Bytes of log merged, and of lines written for it: their sums show the write amplification. */
  LogBytes: "Bytes",
  WrittenBytes: "Bytes",
  /** Bytes of runs that should be merged and do not fit into the time of an invocation; else 0. */
  WaitingRunBytes: "Bytes",
  /** Passes that another compactor was faster than. */
  Conflicts: "Count",
  /** Workers that were started; only with `parallel`. */
  Workers: "Count",
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
  /** A worker reports nothing of the store: it sees its share alone. */
  readonly isWorker: boolean;
  readonly startsWorkers: boolean;
}

type Values = Partial<Record<keyof typeof UNITS, number>>;

/** What the pass has seen of the whole store. */
function storeValues({ backlog, forecast, runs, levels, waiting }: CompactorReport): Values {
  const { outlook, doneInMs } = forecast;
  return {
    BacklogSegments: backlog.segments + backlog.claims,
    BacklogAgeMs: backlog.ageMs,
    CompactionLagMs: backlog.lagMs,
    FallingBehind: outlook === "fallingBehind" ? 1 : 0,
    ...(doneInMs === undefined ? {} : { ForecastMs: doneInMs }),
    Runs: runs,
    Levels: levels,
    WaitingRunBytes: waiting.bytes,
  };
}

/** @param nowMs ms since 1970; of a failed turn only what is known is reported */
export function metricsLine(
  { location, report, failed, durationMs, isWorker, startsWorkers }: MeasuredTurn,
  nowMs: number,
): string {
  const values: Values = {
    ...(report && {
      ...(isWorker ? {} : storeValues(report)),
      LogBytes: report.logBytes,
      WrittenBytes: report.lineBytes,
      Conflicts: report.conflicts,
      ...(startsWorkers ? { Workers: report.workers } : {}),
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
