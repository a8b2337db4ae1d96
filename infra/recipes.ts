/** Other ways to start a compactor than the schedule of `OpslogStore`: parts for stacks of your own. */
import { Duration } from "aws-cdk-lib";
import { type IEventBus, Rule, RuleTargetInput } from "aws-cdk-lib/aws-events";
import { LambdaFunction } from "aws-cdk-lib/aws-events-targets";
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
  JsonPath,
  Map as MapState,
  Pass,
  Result,
  StateMachine,
  StateMachineType,
  Succeed,
  TaskInput,
  Wait,
  WaitTime,
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

/**
 * A queue between a compactor and its workers, instead of its invoking itself: the compactor's option
 * `startWorker` sends each event as one message. Its permission to do so is `queue.grantSendMessages`.
 */
export class WorkerQueue extends Construct {
  readonly queue: Queue;

  /** @param parallel the compactor's option, from which its own invocation is subtracted */
  constructor(scope: Construct, id: string, compactor: Function, parallel: number) {
    super(scope, id);
    const timeout = compactor.timeout ?? Duration.minutes(5);
    this.queue = new Queue(this, "Queue", {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      visibilityTimeout: Duration.seconds(6 * timeout.toSeconds()),
      // The compactor sends new ones while there is much to do.
      retentionPeriod: Duration.minutes(1),
    });
    compactor.addEventSource(
      // Each worker has an invocation of its own. SQS has no limit below 2.
      new SqsEventSource(this.queue, { batchSize: 1, maxConcurrency: Math.max(2, parallel - 1) }),
    );
  }
}

/** The detail type of events that `workersOnBus` hands to workers. */
export const WORKER_DETAIL_TYPE = "Opslog Worker";

/** A bus of EventBridge between a compactor and its workers: `startWorker` puts each event as detail. */
export function workersOnBus(
  scope: Construct,
  id: string,
  compactor: Function,
  eventBus: IEventBus,
): Rule {
  return new Rule(scope, id, {
    eventBus,
    eventPattern: { detailType: [WORKER_DETAIL_TYPE] },
    targets: [
      new LambdaFunction(compactor, {
        event: RuleTargetInput.fromEventPath("$.detail"),
        retryAttempts: 0,
        maxEventAge: Duration.minutes(1),
      }),
    ],
  });
}

/**
 * Compacts one invocation after the other until nothing is left, such as after a bulk load; with
 * `parallel` after as many at once. The compactor needs room for them: its own `parallel`, or no
 * reserved concurrency.
 */
export class CompactToTheEnd extends Construct {
  readonly stateMachine: StateMachine;

  constructor(scope: Construct, id: string, store: OpslogStore, parallel = 1) {
    super(scope, id);
    const { compactor, location } = store;
    const compact = invoke(this, "Compact", compactor, TaskInput.fromObject({ location }));
    const isUnfinished = Condition.or(
      Condition.booleanEquals("$.more", true),
      Condition.stringEquals("$.outcome", "lost"),
    );
    const done = new Succeed(this, "Done");
    const start = parallel > 1 ? this.#shares(store, parallel, compact) : compact;
    // Workers that the compactor started itself go on when it has ended.
    const time = WaitTime.duration(Duration.seconds(30));
    const wait = new Wait(this, "WorkersAtWork", { time }).next(start);
    const next = new Choice(this, "MoreToDo")
      .when(Condition.numberGreaterThan("$.workers", 0), wait)
      .when(isUnfinished, start)
      .otherwise(done);
    compact.next(next);
    this.stateMachine = new StateMachine(this, "StateMachine", {
      stateMachineType: StateMachineType.STANDARD,
      definitionBody: DefinitionBody.fromChainable(start),
      timeout: Duration.hours(24),
    });
  }

  /** Shares of the log at once, then what is left. */
  #shares({ location, compactor }: OpslogStore, of: number, rest: LambdaInvoke): Pass {
    const events = Array.from({ length: of }, (_, index) => ({
      opslogTask: { location, kind: "log", index, of },
    }));
    const worker = invoke(this, "Worker", compactor, TaskInput.fromJsonPathAt("$"));
    // What a worker has not done is left to the others.
    worker.addCatch(new Pass(this, "WorkerFailed"), { resultPath: JsonPath.DISCARD });
    const all = new MapState(this, "Workers", {
      itemsPath: "$.events",
      maxConcurrency: of,
      resultPath: JsonPath.DISCARD,
    });
    all.itemProcessor(worker);
    const share = new Pass(this, "Share", { result: Result.fromObject({ events }) });
    share.next(all).next(rest);
    return share;
  }
}

function invoke(scope: Construct, id: string, lambdaFunction: Function, payload: TaskInput) {
  const invocation = new LambdaInvoke(scope, id, {
    lambdaFunction,
    payload,
    payloadResponseOnly: true,
    // Below is a rule for all failures.
    retryOnServiceExceptions: false,
  });
  // Throttled while the schedule's invocation is at work, or failed.
  invocation.addRetry({
    errors: ["States.ALL"],
    interval: Duration.seconds(30),
    backoffRate: 2,
    maxDelay: Duration.minutes(5),
    maxAttempts: 10,
  });
  return invocation;
}
