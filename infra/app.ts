/** The example as an application: `npx cdk synth`, `npx cdk deploy`. */
import { App, Validations } from "aws-cdk-lib";
import { AwsSolutionsChecks } from "cdk-nag";
import { acknowledgeFindings } from "./acknowledged.ts";
import { RecordsStack } from "./records-stack.ts";

export interface ExampleOptions {
  /** Directory of the bundles of the functions. */
  readonly functions: string;
  /** Context, as in cdk.json. The CLI passes it itself. */
  readonly context?: Record<string, unknown>;
  /** Where the assembly goes. The CLI passes it itself. */
  readonly outdir?: string;
}

/** Synthesis fails where a rule of AwsSolutions is broken and not acknowledged. */
export function exampleApp({ functions, ...appProps }: ExampleOptions): App {
  const app = new App(appProps);
  const topic: unknown = app.node.tryGetContext("alarmTopicArn");
  const stack = new RecordsStack(app, "records", {
    description: "A document store of opslog-serverless: store, HTTP function, compactor.",
    functions,
    alarmTopicArn: typeof topic === "string" ? topic : undefined,
  });
  acknowledgeFindings(stack);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  return app;
}
