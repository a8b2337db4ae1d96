/** The other ways to start a compactor: what they synthesise, and that it takes what they send. */
import { Duration } from "aws-cdk-lib";
import { EventBus } from "aws-cdk-lib/aws-events";
import { Code, Function, Runtime } from "aws-cdk-lib/aws-lambda";
import { MemoryBackend } from "opslog-serverless";
import { createCompactor, startCompactor } from "opslog-serverless/lambda";
import { describe, expect, test } from "vitest";
import {
  compactOnEachWrite,
  CompactorQueue,
  CompactToTheEnd,
  scheduleCompactor,
  WORKER_DETAIL_TYPE,
  WorkerQueue,
  workersOnBus,
} from "../../infra/recipes.ts";
import { tasksIn } from "../../src/lambda/worker-event.ts";
import { put } from "../lambda/compactor-support.ts";
import { lambdaContext } from "../lambda/support.ts";
import { grants, roleStatements } from "./policy.ts";
import {
  flatten,
  makeStore,
  ofType,
  type Resources,
  resourcesOf,
  single,
  SYNTH_MS,
} from "./support.ts";

const quiet = { metrics: false, log: () => undefined };

function notificationsOf(resources: Resources): unknown {
  return flatten(single(resources, "Custom::S3BucketNotifications").Properties);
}

function compactorOf(resources: Resources): string {
  const found = ofType(resources, "AWS::Lambda::Function").find(([, { Properties }]) => {
    return Properties["Handler"] === "compact.handler";
  });
  return found?.[0] ?? expect.fail("no compactor");
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : expect.fail("no text");
}

describe("writes through a queue", { timeout: SYNTH_MS }, () => {
  test("start the compactor once in a window", () => {
    const made = makeStore({ prefix: "a/b" });
    const { compactor } = made.store;
    const waiting = new CompactorQueue(made.stack, "OnWrites", compactor, Duration.minutes(2));
    waiting.addWritesOf(made.store);
    const { queue } = waiting;
    const resources = resourcesOf(made);
    const queueId = JSON.parse(JSON.stringify(made.stack.resolve(queue.queueUrl))).Ref;
    expect(notificationsOf(resources)).toMatchObject({
      NotificationConfiguration: {
        QueueConfigurations: [
          {
            Events: ["s3:ObjectCreated:*"],
            Filter: { Key: { FilterRules: [{ Name: "prefix", Value: "a/b/ops/" }] } },
            QueueArn: `${queueId}.Arn`,
          },
        ],
      },
    });
    expect(flatten(single(resources, "AWS::Lambda::EventSourceMapping").Properties)).toEqual({
      BatchSize: 10_000,
      EventSourceArn: `${queueId}.Arn`,
      FunctionName: compactorOf(resources),
      MaximumBatchingWindowInSeconds: 120,
      ScalingConfig: { MaximumConcurrency: 2 },
    });
    expect(resources[queueId]?.Properties).toMatchObject({
      VisibilityTimeout: 1_800,
      MessageRetentionPeriod: 3_600,
    });
    const [role = ""] = ofType(resources, "AWS::IAM::Role")
      .map(([id]) => id)
      .filter((id) => id.includes("CompactRole"));
    expect(grants(roleStatements(resources, role))).toEqual(
      expect.arrayContaining([
        `sqs:ReceiveMessage ${queueId}.Arn`,
        `sqs:DeleteMessage ${queueId}.Arn`,
      ]),
    );
  });

  test("are looked at at once, and only the stores that they name", async () => {
    const backends = new Map(
      ["s3://bucket/a", "s3://bucket/b"].map((at) => [at, new MemoryBackend()]),
    );
    for (const [location, backend] of backends) await put(location, backend, "x");
    const compact = createCompactor({
      ...quiet,
      discover: { under: "s3://bucket" },
      backend: (location) => backends.get(location) ?? expect.fail(location),
    });
    const object = {
      s3: { bucket: { name: "bucket" }, object: { key: "b/ops/6/x/1-1-1-0.jsonl" } },
    };
    const body = JSON.stringify({ Records: [object] });
    const { stores } = await compact({ Records: [{ body }, { body }] }, lambdaContext());
    expect(stores).toMatchObject([{ location: "s3://bucket/b", report: { outcome: "published" } }]);
  });
});

test("writers start it by a message", async () => {
  const backend = new MemoryBackend();
  await put("s3://bucket/b", backend, "x", "y");
  const bodies: string[] = [];
  // In a handler: SendMessage of SQS.
  const onBacklog = startCompactor({
    backend,
    start: ({ location }) => void bodies.push(JSON.stringify({ location })),
  });
  await onBacklog({ location: "s3://bucket/b", segments: 2 });
  const compact = createCompactor({
    ...quiet,
    locations: ["s3://bucket/a", "s3://bucket/b"],
    backend: () => backend,
  });
  const { stores } = await compact(
    { Records: bodies.map((body) => ({ eventSource: "aws:sqs", body })) },
    lambdaContext(),
  );
  expect(stores).toMatchObject([{ location: "s3://bucket/b", report: { outcome: "published" } }]);
});

test("each write starts the compactor", { timeout: SYNTH_MS }, () => {
  const made = makeStore();
  compactOnEachWrite(made.store);
  const resources = resourcesOf(made);
  const compactor = compactorOf(resources);
  expect(notificationsOf(resources)).toMatchObject({
    NotificationConfiguration: {
      LambdaFunctionConfigurations: [
        {
          Filter: { Key: { FilterRules: [{ Name: "prefix", Value: "store/ops/" }] } },
          LambdaFunctionArn: `${compactor}.Arn`,
        },
      ],
    },
  });
  expect(flatten(single(resources, "AWS::Lambda::Permission").Properties)).toMatchObject({
    Action: "lambda:InvokeFunction",
    FunctionName: `${compactor}.Arn`,
    Principal: "s3.amazonaws.com",
  });
});

test("a function of one's own has a schedule", { timeout: SYNTH_MS }, () => {
  const made = makeStore();
  const code = Code.fromInline("exports.handler = () => {};");
  const own = new Function(made.stack, "Own", {
    code,
    handler: "index.handler",
    runtime: Runtime.NODEJS_22_X,
  });
  scheduleCompactor(made.stack, "Every", own);
  const schedules = ofType(resourcesOf(made), "AWS::Scheduler::Schedule");
  const [, schedule] = schedules.find(([id]) => id.startsWith("Every")) ?? [];
  expect(flatten(schedule?.Properties)).toMatchObject({
    ScheduleExpression: "rate(1 minute)",
    Target: { RetryPolicy: { MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 } },
  });
});

describe("Step Functions", { timeout: SYNTH_MS }, () => {
  interface Choice {
    readonly Or: readonly Readonly<Record<string, unknown>>[];
    readonly Next: string;
  }
  interface Definition {
    readonly StartAt: string;
    readonly States: Record<string, Record<string, unknown>>;
  }

  function definition(parallel?: number): Definition {
    const made = makeStore();
    const machine = new CompactToTheEnd(made.stack, "ToTheEnd", made.store, parallel);
    const { Properties } = single(resourcesOf(made), "AWS::StepFunctions::StateMachine");
    expect(machine.stateMachine.stateMachineArn).toBeDefined();
    return JSON.parse(textOf(flatten(Properties["DefinitionString"])));
  }

  test("invoke the compactor again while a report says that there is more to do", async () => {
    const { StartAt, States } = definition();
    expect(StartAt).toBe("Compact");
    expect(States["Compact"]).toMatchObject({
      Type: "Task",
      Parameters: { location: expect.stringMatching(/^s3:\/\/.+\/store$/) },
      Retry: [{ ErrorEquals: ["States.ALL"], IntervalSeconds: 30, MaxAttempts: 10 }],
      Next: "MoreToDo",
    });
    const { Choices, Default } = States["MoreToDo"] ?? {};
    const [workers, again] = Choices as readonly [Record<string, unknown>, Choice];
    expect([again.Next, Default]).toEqual(["Compact", "Done"]);
    expect(workers).toEqual({
      Variable: "$.workers",
      NumericGreaterThan: 0,
      Next: "WorkersAtWork",
    });
    expect(States["WorkersAtWork"]).toMatchObject({ Type: "Wait", Seconds: 30, Next: "Compact" });
    // The fields that it reads are in the report.
    const backend = new MemoryBackend();
    await put("store", backend, "x");
    const compact = createCompactor({ ...quiet, location: "store", backend });
    const report = await compact({ location: "store" }, lambdaContext());
    const holds = ({ Variable, BooleanEquals, StringEquals }: Record<string, unknown>): boolean => {
      const value: unknown = Reflect.get(report, String(Variable).slice("$.".length));
      expect(value).toBeDefined();
      return value === (BooleanEquals ?? StringEquals);
    };
    expect(again.Or.map(holds)).toEqual([report.more, report.outcome === "lost"]);
    expect(again.Or.some(holds)).toBe(false);
    expect(report.workers).toBe(0);
  });

  test("with several at once share the log first, and each takes its own part", () => {
    const { StartAt, States } = definition(3);
    const { Share, Workers, MoreToDo } = States;
    expect([StartAt, Share?.["Next"], Workers?.["Next"]]).toEqual(["Share", "Workers", "Compact"]);
    const { events } = Object(Share?.["Result"]);
    const tasks = [0, 1, 2].map((index) => ({ kind: "log", index, of: 3 }));
    expect(events.flatMap((event: unknown) => tasksIn(event))).toMatchObject(tasks);
    expect(Workers).toMatchObject({
      Type: "Map",
      ItemsPath: "$.events",
      MaxConcurrency: 3,
      ResultPath: null,
      ItemProcessor: {
        States: {
          Worker: {
            Retry: [{ ErrorEquals: ["States.ALL"] }],
            Catch: [{ ErrorEquals: ["States.ALL"], ResultPath: null, Next: "WorkerFailed" }],
          },
        },
      },
    });
    expect(MoreToDo).toMatchObject({
      Choices: [{ Next: "WorkersAtWork" }, { Next: "Share" }],
      Default: "Done",
    });
  });
});

describe("workers", { timeout: SYNTH_MS }, () => {
  test("through a queue have an invocation each", () => {
    const made = makeStore({ compactor: { parallel: 4 } });
    const { queue } = new WorkerQueue(made.stack, "Workers", made.store.compactor, 4);
    const resources = resourcesOf(made);
    const queueId = JSON.parse(JSON.stringify(made.stack.resolve(queue.queueUrl))).Ref;
    expect(flatten(single(resources, "AWS::Lambda::EventSourceMapping").Properties)).toEqual({
      BatchSize: 1,
      EventSourceArn: `${queueId}.Arn`,
      FunctionName: compactorOf(resources),
      ScalingConfig: { MaximumConcurrency: 3 },
    });
    expect(resources[queueId]?.Properties).toMatchObject({ MessageRetentionPeriod: 60 });
  });

  test("through a bus of EventBridge get the event that startWorker has put there", () => {
    const made = makeStore();
    const bus = EventBus.fromEventBusName(made.stack, "Bus", "default");
    workersOnBus(made.stack, "Workers", made.store.compactor, bus);
    const resources = resourcesOf(made);
    expect(flatten(single(resources, "AWS::Events::Rule").Properties)).toMatchObject({
      EventPattern: { "detail-type": [WORKER_DETAIL_TYPE] },
      Targets: [
        {
          Arn: `${compactorOf(resources)}.Arn`,
          InputPath: "$.detail",
          RetryPolicy: { MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 },
        },
      ],
    });
  });
});
