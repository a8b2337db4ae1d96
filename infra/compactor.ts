/** The function that compacts a store, and the schedule that starts it. */
import { Duration, Stack } from "aws-cdk-lib";
import { Policy, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { Function } from "aws-cdk-lib/aws-lambda";
import { CfnSchedule } from "aws-cdk-lib/aws-scheduler";
import { Queue, QueueEncryption } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { LoggedFunction } from "./logged-function.ts";
import { memoryEnvironment } from "./memory-environment.ts";
import { packagedCode } from "./packaged-code.ts";
import type { CompactorSettings } from "./store-props.ts";

/** The next one continues where a failed one stopped: repeating the same gains nothing. */
const RETRIES = 0;
/** The least that is allowed. An event that is older has a successor already. */
const EVENT_AGE_MAX = Duration.minutes(1);

export class Compactor extends Construct {
  readonly function: Function;
  /** Takes the events that the schedule could not hand to the function. */
  readonly deadLetterQueue: Queue;

  constructor(scope: Construct, id: string, location: string, settings: CompactorSettings) {
    super(scope, id);
    const { function: compact } = new LoggedFunction(this, "Compact", {
      description: "Merges the log of an opslog store into snapshots.",
      code: settings.code ?? packagedCode(),
      handler: "compact.handler",
      memoryMb: settings.memoryMb,
      timeout: settings.timeout,
      location,
      environment: memoryEnvironment(settings.memoryMb),
      logRetention: settings.logRetention,
      // More at once are harmless, but would work for nothing.
      concurrencyMax: settings.reserveConcurrency ? settings.parallel : undefined,
    });
    if (settings.parallel > 1) this.#fanOut(compact, settings.parallel);
    compact.configureAsyncInvoke({ retryAttempts: RETRIES, maxEventAge: EVENT_AGE_MAX });
    this.function = compact;
    this.deadLetterQueue = new Queue(this, "DeadLetters", {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    this.#schedule(settings.every);
  }

  /** Lets the function start further invocations of itself. */
  #fanOut(compact: Function, parallel: number): void {
    compact.addEnvironment("OPSLOG_PARALLEL", String(parallel));
    // A policy of its own: the function depends on the role's, which cannot name it in turn.
    const policy = new Policy(this, "FanOut", {
      statements: [
        new PolicyStatement({
          actions: ["lambda:InvokeFunction"],
          resources: [compact.functionArn],
        }),
      ],
    });
    compact.role?.attachInlinePolicy(policy);
  }

  #schedule(every: Duration): void {
    const functionArn = this.function.functionArn;
    const queueArn = this.deadLetterQueue.queueArn;
    const role = new Role(this, "ScheduleRole", {
      assumedBy: new ServicePrincipal("scheduler.amazonaws.com", {
        conditions: { StringEquals: { "aws:SourceAccount": Stack.of(this).account } },
      }),
    });
    const grants = [
      new PolicyStatement({ actions: ["lambda:InvokeFunction"], resources: [functionArn] }),
      new PolicyStatement({ actions: ["sqs:SendMessage"], resources: [queueArn] }),
    ];
    for (const grant of grants) role.addToPolicy(grant);
    const schedule = new CfnSchedule(this, "Schedule", {
      description: "Starts the compactor of an opslog store.",
      scheduleExpression: rate(every.toMinutes()),
      flexibleTimeWindow: { mode: "OFF" },
      target: {
        arn: functionArn,
        roleArn: role.roleArn,
        // A store that had nothing to do is then not looked at each time.
        input: JSON.stringify({ "detail-type": "Scheduled Event" }),
        retryPolicy: {
          maximumRetryAttempts: RETRIES,
          maximumEventAgeInSeconds: EVENT_AGE_MAX.toSeconds(),
        },
        deadLetterConfig: { arn: queueArn },
      },
    });
    // Without its policy the role cannot invoke: the first events would go to the queue.
    schedule.node.addDependency(role);
  }
}

function rate(minutes: number): string {
  return minutes === 1 ? "rate(1 minute)" : `rate(${minutes} minutes)`;
}
