/** The example: its template as checked in, its size, cdk-nag, and the plain template beside it. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { App, Validations } from "aws-cdk-lib";
import { AwsSolutionsChecks } from "cdk-nag";
import { afterAll, beforeAll, expect, test } from "vitest";
import { acknowledgeFindings } from "../../infra/acknowledged.ts";
import { RecordsStack } from "../../infra/records-stack.ts";
import { tempDir } from "../support/temp-dir.ts";
import { readPlainTemplate, substance } from "./substance.ts";
import { cdkSettings, flatten, ofType, type Resources, SYNTH_MS, synthExample } from "./support.ts";

const SNAPSHOT = "records-stack.template.snap";
const UPDATE =
  "the template of the example has changed. If it should, look at the difference and run: " +
  "npx vitest run --config test/vitest.config.ts test/infra/records-stack.test.ts --update";
/** CloudFormation takes 51,200 bytes inline; it has about 20,000. */
const TEMPLATE_BYTES_MAX = 30_000;

type TempDir = Awaited<ReturnType<typeof tempDir>>;
let directory: TempDir;
let template: { readonly Resources: Resources; readonly Outputs: Record<string, unknown> };

beforeAll(async () => {
  directory = await tempDir();
  // Throws where a rule of cdk-nag is broken and not acknowledged.
  template = (await synthExample(directory.path)).template;
}, SYNTH_MS);

afterAll(() => directory[Symbol.asyncDispose]());

test("its template is the one that is checked in", async () => {
  const text = JSON.stringify(template, null, 2).replace(/[0-9a-f]{64}\.zip/g, "HASH.zip");
  await expect(`${text}\n`, UPDATE).toMatchFileSnapshot(SNAPSHOT);
});

test("its template is small", () => {
  expect(JSON.stringify(template).length).toBeLessThan(TEMPLATE_BYTES_MAX);
  expect(Object.keys(template.Resources).length).toBeLessThan(40);
});

test("the records are behind a URL that needs IAM, on arm64, with a log that ends", () => {
  const [[, url] = []] = ofType(template.Resources, "AWS::Lambda::Url");
  expect(url?.Properties).toMatchObject({ AuthType: "AWS_IAM" });
  for (const [, { Properties }] of ofType(template.Resources, "AWS::Lambda::Function")) {
    expect(flatten(Properties)).toMatchObject({
      Architectures: ["arm64"],
      Runtime: "nodejs24.x",
      Environment: { Variables: { OPSLOG_LOCATION: expect.stringMatching(/^s3:\/\/.+\/store$/) } },
    });
  }
  for (const [, { Properties }] of ofType(template.Resources, "AWS::Logs::LogGroup")) {
    expect(Properties).toMatchObject({ RetentionInDays: 30 });
  }
  expect(Object.keys(template.Outputs)).toEqual(["Url", "Location"]);
});

test("alarms go to the topic that the context names", { timeout: SYNTH_MS }, async () => {
  await using own = await tempDir();
  const alarmTopicArn = "arn:aws:sns:eu-central-1:123456789012:pager";
  const { template: told } = await synthExample(own.path, { alarmTopicArn });
  const alarms = ofType(told.Resources, "AWS::CloudWatch::Alarm");
  expect(alarms).toHaveLength(6);
  for (const [, { Properties }] of alarms) {
    expect(Properties).toMatchObject({ AlarmActions: [alarmTopicArn], OKActions: [alarmTopicArn] });
  }
});

interface ValidationReport {
  readonly pluginReports: readonly {
    readonly violations: readonly {
      readonly ruleName: string;
      readonly violatingConstructs: readonly { readonly constructPath: string }[];
    }[];
  }[];
}

test("each acknowledged finding is one, and has a reason", { timeout: SYNTH_MS }, async () => {
  await using own = await tempDir();
  const app = new App({ context: cdkSettings.context, outdir: own.path });
  const functions = join(directory.path, "functions");
  const stack = new RecordsStack(app, "records", { functions });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  expect(() => app.synth()).toThrow(/AwsSolutions-S1/);
  const text = await readFile(join(own.path, "validation-report.json"), "utf8");
  const report: ValidationReport = JSON.parse(text);
  const found = report.pluginReports
    .flatMap(({ violations }) => violations)
    .flatMap(({ ruleName, violatingConstructs }) =>
      violatingConstructs.map(({ constructPath }) => `${constructPath} ${ruleName}`),
    );

  acknowledgeFindings(stack);
  const key = Validations.ACKNOWLEDGED_RULES_METADATA_KEY;
  const acknowledged = stack.node.findAll().flatMap(({ node }) =>
    node.metadata
      .filter(({ type }) => type === key)
      .flatMap(({ data }) => Object.entries<string>(data))
      .map(([id, reason]) => ({ path: node.path, rule: id.replace(/^\w+::/, ""), reason })),
  );
  for (const { reason } of acknowledged) expect(reason).toMatch(/^[A-Z].{30,}\.$/);
  // Acknowledged where it was found, or on a construct above.
  const covers = ({ path, rule }: { path: string; rule: string }, finding: string): boolean =>
    finding.startsWith(`${path}/`) && finding.endsWith(` ${rule}`);
  expect(found.filter((finding) => !acknowledged.some((one) => covers(one, finding)))).toEqual([]);
  expect(acknowledged.filter((one) => !found.some((finding) => covers(one, finding)))).toEqual([]);
});

test("infra/template.yaml is the same in substance", async () => {
  const [ours, plain] = [substance(template.Resources), substance(await readPlainTemplate())];
  expect(Object.keys(plain).toSorted()).toEqual(Object.keys(ours).toSorted());
  for (const [name, part] of Object.entries(ours)) expect(plain[name], name).toEqual(part);
});
