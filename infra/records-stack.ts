/** The example: a store, and the function that serves its records behind a URL that needs IAM. */
import { CfnOutput, Duration, Stack, type StackProps } from "aws-cdk-lib";
import { Code, FunctionUrlAuthType } from "aws-cdk-lib/aws-lambda";
import { RetentionDays } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";
import { LoggedFunction } from "./logged-function.ts";
import { OpslogStore } from "./opslog-store.ts";

export interface RecordsStackProps extends StackProps {
  /** Directory of the bundles that `node esbuild.config.mjs` makes. */
  readonly functions: string;
  /** ARN of an SNS topic that receives alarms. Default: none. */
  readonly alarmTopicArn?: string | undefined;
}

export class RecordsStack extends Stack {
  readonly store: OpslogStore;
  readonly records: LoggedFunction;

  constructor(scope: Construct, id: string, props: RecordsStackProps) {
    super(scope, id, props);
    const { functions, alarmTopicArn } = props;
    const action = { bind: () => ({ alarmActionArn: alarmTopicArn ?? "" }) };
    this.store = new OpslogStore(this, "Store", {
      compactor: { code: bundle(functions, "compact") },
      alarms: { actions: alarmTopicArn === undefined ? [] : [action] },
    });
    this.records = new LoggedFunction(this, "Records", {
      description: "The records over HTTP.",
      code: bundle(functions, "records"),
      handler: "records.handler",
      memoryMb: 1_024,
      timeout: Duration.seconds(30),
      location: this.store.location,
      logRetention: RetentionDays.ONE_MONTH,
    });
    this.store.grantReadWrite(this.records.function);
    this.store.grantStartCompactor(this.records.function);
    const url = this.records.function.addFunctionUrl({ authType: FunctionUrlAuthType.AWS_IAM });
    this.#output("Url", "Address of the records; requests need an IAM signature.", url.url);
    this.#output("Location", "The store, for tools that open it directly.", this.store.location);
  }

  #output(id: string, description: string, value: string): CfnOutput {
    return new CfnOutput(this, id, { description, value });
  }
}

/** One function's bundle and its source map, so that a change of one redeploys only that one. */
function bundle(functions: string, name: string): Code {
  return Code.fromAsset(functions, { exclude: ["*", `!${name}.mjs`, `!${name}.mjs.map`] });
}
