/** Other ways to start a compactor than the schedule of `OpslogStore`: parts for stacks of your own. */
import { Duration } from "aws-cdk-lib";
import type { Function } from "aws-cdk-lib/aws-lambda";
import { SqsEventSource } from "aws-cdk-lib/aws-lambda-event-sources";
import { EventType } from "aws-cdk-lib/aws-s3";
import { LambdaDestination, SqsDestination } from "aws-cdk-lib/aws-s3-notifications";
import { Schedule, ScheduleExpression } from "aws-cdk-lib/aws-scheduler";
import { LambdaInvoke as ScheduledInvoke } from "aws-cdk-lib/aws-scheduler-targets";
import { Queue, QueueEncryption } from "aws-cdk-lib/aws-sqs";
import {
  Choice,
  Condition,
  DefinitionBody,
  StateMachine,
  StateMachineType,
  Succeed,
  TaskInput,
} from "aws-cdk-lib/aws-stepfunctions";
import { LambdaInvoke } from "aws-cdk-lib/aws-stepfunctions-tasks";
import { Construct } from "constructs";
import type { OpslogStore } from "./opslog-store.ts";

/**
 * A queue before a compactor: messages start it at most once in `window`, however many there are. Each
 * is `{"location":"s3://bucket/prefix"}`, or what S3 sends. A queue is polled all the time, at $0.26 a
 * month beyond SQS's free million requests.
 */
export class CompactorQueue extends Construct {
  readonly queue: Queue;

  constructor(scope: Construct, id: string, compactor: Function, window = Duration.minutes(1)) {
    super(scope, id);
    const timeout = compactor.timeout ?? Duration.minutes(5);
    this.queue = new Queue(this, "Queue", {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      // Six times the function's, as Lambda recommends.
      visibilityTimeout: Duration.seconds(6 * timeout.toSeconds()),
      // What is older has been compacted by the schedule.
      retentionPeriod: Duration.hours(1),
    });
    compactor.addEventSource(
      new SqsEventSource(this.queue, {
        batchSize: 10_000,
        maxBatchingWindow: window,
        maxConcurrency: 2,
      }),
    );
  }

  /** Has S3 send a message for each write of a store. */
  addWritesOf(store: OpslogStore): void {
    const destination = new SqsDestination(this.queue);
    store.bucket.addEventNotification(EventType.OBJECT_CREATED, destination, logOf(store));
  }
}

/** Each write starts the compactor: for a store that is written less often than once a minute. */
export function compactOnEachWrite(store: OpslogStore): void {
  const destination = new LambdaDestination(store.compactor);
  store.bucket.addEventNotification(EventType.OBJECT_CREATED, destination, logOf(store));
}

function logOf({ prefix }: OpslogStore) {
  return { prefix: `${prefix}/ops/` };
}

/** A schedule for a function of your own, such as one that compacts many stores. */
export function scheduleCompactor(
  scope: Construct,
  id: string,
  compactor: Function,
  every = Duration.minutes(1),
): Schedule {
  return new Schedule(scope, id, {
    schedule: ScheduleExpression.rate(every),
    target: new ScheduledInvoke(compactor, {
      // The next one continues.
      retryAttempts: 0,
      maxEventAge: Duration.minutes(1),
    }),
  });
}

/** Compacts one invocation after the other until nothing is left, such as after a bulk load. */
export class CompactToTheEnd extends Construct {
  readonly stateMachine: StateMachine;

  constructor(scope: Construct, id: string, store: OpslogStore) {
    super(scope, id);
    const compact = new LambdaInvoke(this, "Compact", {
      lambdaFunction: store.compactor,
      payload: TaskInput.fromObject({ location: store.location }),
      payloadResponseOnly: true,
      // Below is a rule for all failures.
      retryOnServiceExceptions: false,
    });
    // Throttled while the schedule's invocation is at work, or failed.
    compact.addRetry({
      errors: ["States.ALL"],
      interval: Duration.seconds(30),
      backoffRate: 2,
      maxDelay: Duration.minutes(5),
      maxAttempts: 10,
    });
    const isUnfinished = Condition.or(
      Condition.booleanEquals("$.more", true),
      Condition.stringEquals("$.outcome", "lost"),
    );
    const done = new Succeed(this, "Done");
    const next = new Choice(this, "MoreToDo").when(isUnfinished, compact).otherwise(done);
    this.stateMachine = new StateMachine(this, "StateMachine", {
      stateMachineType: StateMachineType.STANDARD,
      definitionBody: DefinitionBody.fromChainable(compact.next(next)),
      timeout: Duration.hours(24),
    });
  }
}
