/** What is measured of a store's compaction, and when somebody has to look. */
import { Duration } from "aws-cdk-lib";
import {
  Alarm,
  ComparisonOperator,
  Metric,
  type MetricOptions,
  TreatMissingData,
} from "aws-cdk-lib/aws-cloudwatch";
import type { Function } from "aws-cdk-lib/aws-lambda";
import type { Queue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import type { AlarmSettings } from "./store-props.ts";

/** Written to the log by the compactor, from where CloudWatch takes them (embedded metrics). */
export const METRICS = {
  /** Segments that are not merged. */
  BacklogSegments: "Maximum",
  /** Age of the oldest of them. */
  BacklogAgeMs: "Maximum",
  /** Since the last publication, while there is a backlog. */
  CompactionLagMs: "Maximum",
  /** 1 while more is written than is merged; of a period 1 only if each pass found it so. */
  FallingBehind: "Minimum",
  /** When nothing waits any more; not reported where that is not known. */
  ForecastMs: "Maximum",
  /** Runs of the store. */
  Runs: "Maximum",
  /** Levels of the store: a point read may look into one run of each. */
  Levels: "Maximum",
  /** Bytes of log merged. */
  LogBytes: "Sum",
  /** Bytes of lines written: divided by `LogBytes`, of hours or days, the write amplification. */
  WrittenBytes: "Sum",
  /** Runs that should be merged and do not fit into the time of an invocation. */
  WaitingRunBytes: "Maximum",
  /** Publications lost to another compactor or an archive. */
  Conflicts: "Sum",
  /** Workers that the compactor started; only with `parallel` above 1. */
  Workers: "Sum",
  /** Invocations that ended with an error. */
  Failures: "Sum",
  DurationMs: "Maximum",
} as const;

/** Names of the metrics that the compactor emits. */
export type MetricName = keyof typeof METRICS;

const NAMESPACE = "Opslog";
const DIMENSION = "Store";
const PERIOD_LEAST = Duration.minutes(5);
/** One bad period does not need a person: the next pass continues where the last stopped. */
const PERIODS = 3;

/** @param location the store's, `s3://bucket/prefix`: the metric's only dimension */
export function storeMetric(location: string, name: MetricName, options?: MetricOptions): Metric {
  return new Metric({
    namespace: NAMESPACE,
    metricName: name,
    dimensionsMap: { [DIMENSION]: location },
    statistic: METRICS[name],
    period: PERIOD_LEAST,
    ...options,
  });
}

export interface Watched {
  readonly location: string;
  readonly function: Function;
  readonly deadLetterQueue: Queue;
  readonly every: Duration;
}

interface AlarmPlan {
  readonly description: string;
  readonly metric: Metric;
  readonly operator: ComparisonOperator;
  readonly threshold: number;
  readonly datapoints: number;
  readonly missing: TreatMissingData;
}

export class StoreAlarms extends Construct {
  readonly alarms: readonly Alarm[];

  constructor(scope: Construct, id: string, watched: Watched, settings: AlarmSettings) {
    super(scope, id);
    const plans = Object.entries(planAlarms(watched, settings));
    this.alarms = plans.map(([name, plan]) => this.#add(name, plan, settings));
  }

  #add(name: string, plan: AlarmPlan, { actions }: AlarmSettings): Alarm {
    const alarm = new Alarm(this, name, {
      alarmDescription: plan.description,
      metric: plan.metric,
      comparisonOperator: plan.operator,
      threshold: plan.threshold,
      evaluationPeriods: plan.datapoints === 1 ? 1 : PERIODS,
      datapointsToAlarm: plan.datapoints,
      treatMissingData: plan.missing,
    });
    alarm.addAlarmAction(...actions);
    alarm.addOkAction(...actions);
    return alarm;
  }
}

function planAlarms(watched: Watched, settings: AlarmSettings): Record<string, AlarmPlan> {
  const { location, every } = watched;
  // At least one pass in each period.
  const period = Duration.minutes(Math.max(PERIOD_LEAST.toMinutes(), every.toMinutes()));
  const above = ComparisonOperator.GREATER_THAN_THRESHOLD;
  const backlog = {
    operator: above,
    datapoints: PERIODS,
    // A compactor that stopped is another alarm's; until it runs, the backlog is as it was.
    missing: TreatMissingData.IGNORE,
  };
  return {
    BacklogAge: {
      ...backlog,
      description: `Writes of ${location} stay unmerged: compaction does not keep up.`,
      metric: storeMetric(location, "BacklogAgeMs", { period }),
      threshold: settings.backlogAge.toMilliseconds(),
    },
    BacklogSegments: {
      ...backlog,
      description: `The log of ${location} grows: every read of it takes more requests.`,
      metric: storeMetric(location, "BacklogSegments", { period }),
      threshold: settings.backlogSegments,
    },
    FallingBehind: {
      ...backlog,
      description: `More is written to ${location} than its compactor merges.`,
      metric: storeMetric(location, "FallingBehind", { period }),
      threshold: 0,
    },
    CompactorFailing: {
      description: `The compactor of ${location} fails again and again: see its log.`,
      // Of Lambda, which also counts what was cut off or ran out of memory.
      metric: watched.function.metricErrors({ period }),
      operator: above,
      threshold: 0,
      datapoints: 2,
      missing: TreatMissingData.NOT_BREACHING,
    },
    CompactorSilent: {
      description: `The compactor of ${location} is not started: see its schedule.`,
      metric: watched.function.metricInvocations({ period }),
      operator: ComparisonOperator.LESS_THAN_THRESHOLD,
      threshold: 1,
      datapoints: PERIODS,
      // Lambda reports no zero.
      missing: TreatMissingData.BREACHING,
    },
    DeadLetters: {
      description: `The schedule cannot invoke the compactor of ${location}: see the queue.`,
      metric: watched.deadLetterQueue.metricApproximateNumberOfMessagesVisible({
        period: PERIOD_LEAST,
        statistic: "Maximum",
      }),
      operator: above,
      threshold: 0,
      datapoints: 1,
      missing: TreatMissingData.NOT_BREACHING,
    },
  };
}
