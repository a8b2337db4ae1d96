/** Where the tests put the snippets of documents, and what stands before them. */

/** What a snippet presupposes, as its reader does: it stands before the snippet in the file. */
export const PRELUDES: Readonly<Record<string, string>> = {
  "docs/bundling.md#esbuild to ES modules ts 1": `
    import { App, Stack } from "aws-cdk-lib";
    const app = new App({ outdir: "cdk.out" });
    const stack = new Stack(app, "stack");`,
  "docs/lambda.md#Deploying with the CDK ts 1": `
    import { App } from "aws-cdk-lib";
    import { Code, Function, Runtime } from "aws-cdk-lib/aws-lambda";
    import { Topic } from "aws-cdk-lib/aws-sns";
    const app = new App({ outdir: "cdk.out" });
    const stack = new Stack(app, "stack");
    const topic = new Topic(stack, "Topic");
    const code = Code.fromInline("exports.handler = () => {};");
    const handler = new Function(stack, "Handler", { code, handler: "index.handler", runtime: Runtime.NODEJS_22_X });`,
};
/** The file that each snippet becomes. */
export const FILES: Readonly<Record<string, string>> = {
  "README.md#On a directory js 1": "directory.js",
  "README.md#On Lambda ts 1": "functions/tasks.ts",
  "docs/getting-started.md#Every call once ts 1": "use.ts",
  "docs/concurrency.md#Concurrency ts 1": "concurrency.ts",
  "docs/concurrency.md#Once ts 1": "once.ts",
  "docs/concurrency.md#Transactions ts 1": "transactions.ts",
  "docs/concurrency.md#Over HTTP ts 1": "functions/put.ts",
  "docs/following.md#Following changes ts 1": "following.ts",
  "docs/lambda.md#Handlers ts 1": "functions/add.ts",
  "docs/lambda.md#Idempotent functions ts 1": "functions/charge.ts",
  "docs/lambda.md#The compactor ts 1": "functions/compact.ts",
  "docs/lambda.md#What starts it ts 1": "server.ts",
  "docs/lambda.md#Several at once ts 1": "compact-job.ts",
  "docs/lambda.md#Deploying with the CDK ts 1": "stack.ts",
  "docs/s3.md#S3 and other servers ts 1": "s3.ts",
  "docs/bundling.md#esbuild to ES modules js 1": "build.mjs",
  "docs/bundling.md#esbuild to ES modules ts 1": "bundling-stack.ts",
  "docs/testing.md#Testing your handlers ts 1": "tasks.test.ts",
  "docs/testing.md#When the medium fails ts 1": "failing.test.ts",
  "docs/testing.md#A storage backend of your own ts 1": "backend.test.ts",
};
