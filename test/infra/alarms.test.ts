/** What rings, at which value, and what it does. */
import { Duration } from "aws-cdk-lib";
import { describe, expect, test } from "vitest";
import type { OpslogStoreProps } from "../../infra/store-props.ts";
import { flatten, makeStore, ofType, resourcesOf, SYNTH_MS } from "./support.ts";

const NAMES = [
  "BacklogAge",
  "BacklogSegments",
  "CompactorFailing",
  "CompactorSilent",
  "DeadLetters",
  "FallingBehind",
];

/** Properties of each alarm by its name. */
function alarms(props: OpslogStoreProps = {}): Record<string, unknown> {
  const found = ofType(resourcesOf(makeStore(props)), "AWS::CloudWatch::Alarm");
  return Object.fromEntries(
    found.map(([id, { Properties }]) => [
      NAMES.find((name) => id.includes(name)) ?? id,
      flatten(Properties),
    ]),
  );
}

const ofStore = [{ Name: "Store", Value: expect.stringMatching(/^s3:\/\/StoreBucket\w+\/store$/) }];
const ofFunction = [{ Name: "FunctionName", Value: expect.stringContaining("Compact") }];

describe("alarms", { timeout: SYNTH_MS }, () => {
  test("watch the backlog by the compactor's own metrics, and the function, and the queue", () => {
    const found = alarms();
    expect(Object.keys(found).toSorted()).toEqual(NAMES);
    expect(found).toMatchObject({
      BacklogAge: {
        Namespace: "Opslog",
        MetricName: "BacklogAgeMs",
        Dimensions: ofStore,
        Statistic: "Maximum",
        Threshold: 1_200_000,
        ComparisonOperator: "GreaterThanThreshold",
        Period: 300,
        EvaluationPeriods: 3,
        DatapointsToAlarm: 3,
        TreatMissingData: "ignore",
      },
      BacklogSegments: {
        Namespace: "Opslog",
        MetricName: "BacklogSegments",
        Dimensions: ofStore,
        Threshold: 1_000,
        TreatMissingData: "ignore",
      },
      FallingBehind: {
        Namespace: "Opslog",
        MetricName: "FallingBehind",
        Dimensions: ofStore,
        Statistic: "Minimum",
        Threshold: 0,
        ComparisonOperator: "GreaterThanThreshold",
        EvaluationPeriods: 3,
        DatapointsToAlarm: 3,
        TreatMissingData: "ignore",
      },
      CompactorFailing: {
        Namespace: "AWS/Lambda",
        MetricName: "Errors",
        Dimensions: ofFunction,
        Statistic: "Sum",
        Threshold: 0,
        EvaluationPeriods: 3,
        DatapointsToAlarm: 2,
        TreatMissingData: "notBreaching",
      },
      CompactorSilent: {
        Namespace: "AWS/Lambda",
        MetricName: "Invocations",
        Dimensions: ofFunction,
        ComparisonOperator: "LessThanThreshold",
        Threshold: 1,
        EvaluationPeriods: 3,
        TreatMissingData: "breaching",
      },
      DeadLetters: {
        Namespace: "AWS/SQS",
        MetricName: "ApproximateNumberOfMessagesVisible",
        Threshold: 0,
        EvaluationPeriods: 1,
      },
    });
  });

  test("tell the same when they ring and when they stop", () => {
    const action = { bind: () => ({ alarmActionArn: "arn:aws:sns:eu-central-1:1:pager" }) };
    const found = Object.values(alarms({ alarms: { actions: [action] } }));
    expect(found).toHaveLength(NAMES.length);
    for (const alarm of found) {
      expect(alarm).toMatchObject({
        AlarmActions: ["arn:aws:sns:eu-central-1:1:pager"],
        OKActions: ["arn:aws:sns:eu-central-1:1:pager"],
        AlarmDescription: expect.stringContaining("s3://"),
      });
    }
  });

  test("follow a slower schedule: no period is without a pass", () => {
    const found = alarms({ compactor: { every: Duration.hours(2) } });
    expect(found).toMatchObject({
      BacklogAge: { Period: 7_200, Threshold: 3 * 7_200_000 },
      CompactorFailing: { Period: 7_200 },
      CompactorSilent: { Period: 7_200 },
    });
  });

  test("take thresholds, or are left out", () => {
    const thresholds = { backlogAge: Duration.minutes(2), backlogSegments: 50 };
    expect(alarms({ alarms: thresholds })).toMatchObject({
      BacklogAge: { Threshold: 120_000 },
      BacklogSegments: { Threshold: 50 },
    });
    expect(alarms({ alarms: false })).toEqual({});
    expect(makeStore({ alarms: false }).store.alarms).toEqual([]);
  });

  test("are not all: each metric is available", () => {
    const { stack, store } = makeStore();
    const metric = store.metric("CompactionLagMs", { period: Duration.minutes(1) });
    expect(metric).toMatchObject({ namespace: "Opslog", metricName: "CompactionLagMs" });
    expect(metric.statistic).toBe("Maximum");
    expect(metric.period.toSeconds()).toBe(60);
    expect(stack.resolve(metric.dimensions)).toEqual({ Store: stack.resolve(store.location) });
    expect(store.metric("Conflicts").statistic).toBe("Sum");
  });
});
