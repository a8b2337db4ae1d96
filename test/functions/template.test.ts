import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { tempDir } from "../support/temp-dir.ts";
import { bundleInto, projectDirectory, runModule } from "./support.ts";

interface Statement {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: Record<string, unknown>;
}

interface Resource {
  readonly Type: string;
  readonly DeletionPolicy?: string;
  readonly Properties: {
    readonly Code: string;
    readonly Handler: string;
    readonly Role: string;
    readonly [name: string]: unknown;
  };
}

/** `!Sub` and the like are read as what stands behind them. */
async function readTemplate(): Promise<Record<string, Resource>> {
  return (await parsedTemplate()).Resources;
}

async function readParameters(): Promise<Record<string, unknown>> {
  return (await parsedTemplate()).Parameters;
}

async function parsedTemplate() {
  const text = await readFile(join(projectDirectory, "infra/template.yaml"), "utf8");
  return parse(text, { logLevel: "error" });
}

function ofType(resources: Record<string, Resource>, type: string): [string, Resource][] {
  const found = Object.entries(resources).filter(([, { Type }]) => Type === type);
  expect(found).not.toEqual([]);
  return found;
}

function statementsOf({ Properties }: Resource): Statement[] {
  const policies = Properties["Policies"] as { PolicyDocument: { Statement: Statement[] } }[];
  return policies.flatMap(({ PolicyDocument }) => PolicyDocument.Statement);
}

/** "action resource" for everything a role may do. */
function grants(role: Resource): string[] {
  return statementsOf(role).flatMap(({ Action, Resource }) =>
    [Action].flat().flatMap((action) => [Resource].flat().map((on) => `${action} ${on}`)),
  );
}

test("each handler is exported by a bundle at the path that is deployed", async () => {
  const resources = await readTemplate();
  await using bundles = await tempDir();
  await bundleInto(bundles.path);
  for (const [, { Properties }] of ofType(resources, "AWS::Lambda::Function")) {
    // Relative to the template; the default output directory of esbuild.config.mjs.
    expect(join("infra", Properties.Code)).toBe("dist/functions");
    const [file, name] = Properties.Handler.split(".");
    const source = `console.log(typeof (await import("./${file}.mjs")).${name})`;
    expect(await runModule(source, bundles.path)).toMatchObject({ stdout: "function\n" });
    expect(Properties).toMatchObject({
      Runtime: "nodejs24.x",
      Architectures: ["arm64"],
      Environment: { Variables: { OPSLOG_LOCATION: "s3://${Bucket}/${Prefix}" } },
    });
  }
  const config = await readFile(join(projectDirectory, "esbuild.config.mjs"), "utf8");
  expect(config).toContain("dist/functions");
});

test("no role may do more than it needs", async () => {
  const resources = await readTemplate();
  const roles = Object.fromEntries(ofType(resources, "AWS::IAM::Role"));
  for (const role of Object.values(roles)) {
    expect(role.Properties["ManagedPolicyArns"]).toBeUndefined();
    for (const { Effect, Action, Resource, Condition } of statementsOf(role)) {
      expect(Effect).toBe("Allow");
      for (const action of [Action].flat()) expect(action).toMatch(/^[a-z0-9]+:[A-Za-z]+$/);
      for (const on of [Resource].flat()) expect(on).not.toBe("*");
      if (Action === "s3:ListBucket") {
        const prefixes = [Object(Condition).StringLikeIfExists["s3:prefix"]].flat();
        expect(prefixes.length).toBeGreaterThan(0);
        for (const prefix of prefixes) expect(prefix).toMatch(/^\$\{Prefix\}\//);
      }
    }
  }
  const store = "${Bucket.Arn}/${Prefix}/";
  expect(roles["RecordsRole"] && grants(roles["RecordsRole"])).toEqual([
    `s3:GetObject ${store}*`,
    `s3:PutObject ${store}ops/*`,
    "s3:ListBucket Bucket.Arn",
    "lambda:InvokeFunction CompactFunction.Arn",
    `s3:PutObject ${store}compact.start`,
    "logs:CreateLogStream RecordsLogs.Arn",
    "logs:PutLogEvents RecordsLogs.Arn",
  ]);
  expect(roles["CompactRole"] && grants(roles["CompactRole"])).toEqual([
    `s3:GetObject ${store}*`,
    `s3:PutObject ${store}manifest.json`,
    `s3:PutObject ${store}compact.lease`,
    `s3:PutObject ${store}compact-*.lease`,
    `s3:PutObject ${store}ops/*`,
    `s3:PutObject ${store}snapshots/*`,
    `s3:AbortMultipartUpload ${store}snapshots/*`,
    `s3:DeleteObject ${store}ops/*`,
    `s3:DeleteObject ${store}snapshots/*`,
    `s3:DeleteObject ${store}archive/*`,
    "s3:ListBucket Bucket.Arn",
    "logs:CreateLogStream CompactLogs.Arn",
    "logs:PutLogEvents CompactLogs.Arn",
  ]);
});

test("the bucket is private, encrypted, TLS only, and outlives the stack", async () => {
  const resources = await readTemplate();
  const [[, bucket] = []] = ofType(resources, "AWS::S3::Bucket");
  expect(bucket).toMatchObject({
    DeletionPolicy: "Retain",
    UpdateReplacePolicy: "Retain",
    Properties: {
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      BucketEncryption: expect.anything(),
      LifecycleConfiguration: {
        Rules: [{ AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } }],
      },
    },
  });
  const [[, policy] = []] = ofType(resources, "AWS::S3::BucketPolicy");
  expect(policy?.Properties["PolicyDocument"]).toMatchObject({
    Statement: [
      { Effect: "Deny", Condition: { Bool: { "aws:SecureTransport": "false" } } },
      {
        Effect: "Deny",
        Action: "s3:PutObject",
        Condition: { Null: { "s3:if-match": "true", "s3:if-none-match": "true" } },
      },
    ],
  });
});

test("the compactor runs every minute, one at a time, without retries; the URL needs IAM", async () => {
  const resources = await readTemplate();
  expect((await readParameters())["Parallel"]).toMatchObject({ Default: 1 });
  expect(resources).toMatchObject({
    CompactSchedule: {
      Properties: {
        ScheduleExpression: "rate(1 minute)",
        Target: { RetryPolicy: { MaximumRetryAttempts: 0 } },
      },
    },
    CompactInvocations: { Properties: { MaximumRetryAttempts: 0 } },
    CompactFunction: { Properties: { ReservedConcurrentExecutions: "Parallel" } },
    RecordsUrl: { Properties: { AuthType: "AWS_IAM" } },
  });
  for (const [, { Properties }] of ofType(resources, "AWS::Logs::LogGroup")) {
    expect(Properties).toHaveProperty("RetentionInDays");
  }
});
