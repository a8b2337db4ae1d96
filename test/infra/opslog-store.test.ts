/** The construct: what it makes by default, and what its props change. */
import { App, Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import { Match, Template } from "aws-cdk-lib/assertions";
import { Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Key } from "aws-cdk-lib/aws-kms";
import { Function, Runtime } from "aws-cdk-lib/aws-lambda";
import { RetentionDays } from "aws-cdk-lib/aws-logs";
import { Bucket } from "aws-cdk-lib/aws-s3";
import { describe, expect, test } from "vitest";
import { memoryEnvironment } from "../../infra/memory-environment.ts";
import { OpslogStore } from "../../infra/opslog-store.ts";
import type { OpslogStoreProps } from "../../infra/store-props.ts";
import { bucketStatements, grants, roleStatements } from "./policy.ts";
import { readPlainTemplate, substance } from "./substance.ts";
import {
  CODE,
  flatten,
  makeStore,
  ofType,
  type Resources,
  resourcesOf,
  single,
  SYNTH_MS,
} from "./support.ts";

const LOCATION = { "Fn::Join": ["", ["s3://", Match.anyValue(), "/store"]] };
const ofLambda = { assumedBy: new ServicePrincipal("lambda.amazonaws.com") };

describe("by default", { timeout: SYNTH_MS }, () => {
  test("the bucket is private, encrypted, TLS only, unversioned, and outlives the stack", () => {
    const resources = resourcesOf(makeStore());
    expect(single(resources, "AWS::S3::Bucket")).toMatchObject({
      DeletionPolicy: "Retain",
      UpdateReplacePolicy: "Retain",
      Properties: {
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        },
        OwnershipControls: { Rules: [{ ObjectOwnership: "BucketOwnerEnforced" }] },
        BucketEncryption: {
          ServerSideEncryptionConfiguration: [
            { ServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" } },
          ],
        },
        LifecycleConfiguration: {
          Rules: [
            { Status: "Enabled", AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } },
          ],
        },
      },
    });
    expect(single(resources, "AWS::S3::Bucket").Properties).not.toHaveProperty(
      "VersioningConfiguration",
    );
    const [bucket = ""] = ofType(resources, "AWS::S3::Bucket").map(([id]) => id);
    expect(bucketStatements(resources)).toEqual([
      {
        Effect: "Deny",
        Principal: { AWS: "*" },
        Action: "s3:*",
        Resource: [`${bucket}.Arn`, `${bucket}.Arn/*`],
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      },
      {
        Effect: "Deny",
        Principal: { AWS: "*" },
        Action: "s3:PutObject",
        Resource: `${bucket}.Arn/store/manifest.json`,
        Condition: { Null: { "s3:if-match": "true", "s3:if-none-match": "true" } },
      },
    ]);
  });

  test("the compactor is one at a time, on arm64 and the newest Node, with its own log", () => {
    const template = Template.fromStack(makeStore().stack);
    template.hasResourceProperties("AWS::Lambda::Function", {
      Architectures: ["arm64"],
      Runtime: "nodejs24.x",
      Handler: "compact.handler",
      MemorySize: 1_769,
      Timeout: 300,
      ReservedConcurrentExecutions: 1,
      LoggingConfig: { LogGroup: Match.anyValue() },
      Environment: { Variables: { OPSLOG_LOCATION: LOCATION, ...memoryEnvironment(1_769) } },
    });
    template.hasResourceProperties("AWS::Logs::LogGroup", { RetentionInDays: 30 });
    template.hasResourceProperties("AWS::Lambda::EventInvokeConfig", {
      MaximumRetryAttempts: 0,
      MaximumEventAgeInSeconds: 60,
    });
    const roles = Object.values(template.findResources("AWS::IAM::Role"));
    for (const { Properties } of roles) expect(Properties).not.toHaveProperty("ManagedPolicyArns");
  });

  test("the schedule starts it every minute, without retries, and its failures are kept", () => {
    const resources = resourcesOf(makeStore());
    const [queue = ""] = ofType(resources, "AWS::SQS::Queue").map(([id]) => id);
    const [compact = ""] = ofType(resources, "AWS::Lambda::Function").map(([id]) => id);
    const schedule = single(resources, "AWS::Scheduler::Schedule");
    expect(flatten(schedule.Properties)).toMatchObject({
      ScheduleExpression: "rate(1 minute)",
      FlexibleTimeWindow: { Mode: "OFF" },
      Target: {
        Arn: `${compact}.Arn`,
        Input: JSON.stringify({ "detail-type": "Scheduled Event" }),
        RetryPolicy: { MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 },
        DeadLetterConfig: { Arn: `${queue}.Arn` },
      },
    });
    expect(single(resources, "AWS::SQS::Queue").Properties).toMatchObject({
      SqsManagedSseEnabled: true,
      MessageRetentionPeriod: 14 * 86_400,
    });
    expect(flatten(single(resources, "AWS::SQS::QueuePolicy").Properties)).toMatchObject({
      PolicyDocument: {
        Statement: [{ Effect: "Deny", Condition: { Bool: { "aws:SecureTransport": "false" } } }],
      },
    });
    const role = ofType(resources, "AWS::IAM::Role").find(([id]) => id.includes("Schedule"));
    expect(grants(roleStatements(resources, role?.[0] ?? ""))).toEqual([
      `lambda:InvokeFunction ${compact}.Arn`,
      `sqs:SendMessage ${queue}.Arn`,
    ]);
    expect(flatten(role?.[1].Properties)).toMatchObject({
      AssumeRolePolicyDocument: {
        Statement: [{ Condition: { StringEquals: { "aws:SourceAccount": "AWS::AccountId" } } }],
      },
    });
  });
});

test("a function may start the compactor: permission and variable", { timeout: SYNTH_MS }, () => {
  const withHandler = (mayStart: boolean) => {
    const made = makeStore();
    const props = { code: CODE, handler: "index.handler", runtime: Runtime.NODEJS_22_X };
    const handler = new Function(made.stack, "Handler", props);
    made.store.grantReadWrite(handler);
    if (mayStart) made.store.grantStartCompactor(handler);
    return resourcesOf(made);
  };
  const grantsIn = (resources: Resources): string[] => {
    const role = ofType(resources, "AWS::IAM::Role").find(([id]) => id.startsWith("Handler"));
    return grants(roleStatements(resources, role?.[0] ?? ""));
  };
  const [before, resources] = [withHandler(false), withHandler(true)];
  const ids = ofType(resources, "AWS::Lambda::Function").map(([id]) => id);
  const compact = ids.find((id) => id.includes("Compact")) ?? "";
  const [bucket = ""] = ofType(resources, "AWS::S3::Bucket").map(([id]) => id);
  const own = resources[ids.find((id) => id.startsWith("Handler")) ?? ""];
  expect(flatten(own?.Properties["Environment"])).toEqual({
    Variables: { OPSLOG_COMPACTOR: compact },
  });
  const known = grantsIn(before);
  expect(grantsIn(resources).filter((grant) => !known.includes(grant))).toEqual([
    `lambda:InvokeFunction ${compact}.Arn`,
    `s3:PutObject ${bucket}.Arn/store/compact.start`,
  ]);
});

describe("a bucket of its own", { timeout: SYNTH_MS }, () => {
  test("with a KMS key: a grant of the store includes the key", () => {
    const both = makeStore((stack) => ({ encryptionKey: new Key(stack, "Key") }));
    both.store.grantRead(new Role(both.stack, "Reader", ofLambda));
    both.store.grantReadWrite(new Role(both.stack, "Handler", ofLambda));
    const resources = resourcesOf(both);
    expect(flatten(single(resources, "AWS::S3::Bucket").Properties)).toMatchObject({
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [
          { BucketKeyEnabled: true, ServerSideEncryptionByDefault: { SSEAlgorithm: "aws:kms" } },
        ],
      },
    });
    const onKey = (name: string): string[] => {
      const role = ofType(resources, "AWS::IAM::Role").find(([id]) => id.includes(name));
      return grants(roleStatements(resources, role?.[0] ?? ""))
        .filter((grant) => grant.startsWith("kms:"))
        .map((grant) => grant.split(" ")[0] ?? "");
    };
    expect(onKey("Reader")).toEqual(["kms:Decrypt"]);
    expect(onKey("Handler")).toEqual(["kms:Decrypt", "kms:GenerateDataKey"]);
    expect(onKey("CompactRole")).toEqual(["kms:Decrypt", "kms:GenerateDataKey"]);
  });

  test("with versions kept for some days, access logs, and removed with the stack", () => {
    const resources = resourcesOf(
      makeStore((stack) => ({
        noncurrentVersionDays: 7,
        removalPolicy: RemovalPolicy.DESTROY,
        serverAccessLogsBucket: Bucket.fromBucketName(stack, "Logs", "the-logs"),
      })),
    );
    expect(single(resources, "AWS::S3::Bucket")).toMatchObject({
      DeletionPolicy: "Delete",
      Properties: {
        VersioningConfiguration: { Status: "Enabled" },
        LoggingConfiguration: { DestinationBucketName: "the-logs" },
        LifecycleConfiguration: {
          Rules: [
            { AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } },
            { NoncurrentVersionExpiration: { NoncurrentDays: 7 }, ExpiredObjectDeleteMarker: true },
          ],
        },
      },
    });
  });
});

describe("an existing bucket", { timeout: SYNTH_MS }, () => {
  test("gets what the store needs, for the prefix alone", () => {
    const shared = makeStore((stack) => ({ bucket: new Bucket(stack, "Shared"), prefix: "a/b" }));
    const resources = resourcesOf(shared);
    const [bucket = ""] = ofType(resources, "AWS::S3::Bucket").map(([id]) => id);
    expect(bucketStatements(resources)).toMatchObject([
      {
        Effect: "Deny",
        Action: "s3:*",
        Resource: `${bucket}.Arn/a/b/*`,
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      },
      {
        Effect: "Deny",
        Action: "s3:ListBucket",
        Resource: `${bucket}.Arn`,
        Condition: {
          Bool: { "aws:SecureTransport": "false" },
          StringLike: { "s3:prefix": ["a/b/*"] },
        },
      },
      {
        Effect: "Deny",
        Action: "s3:PutObject",
        Resource: `${bucket}.Arn/a/b/manifest.json`,
        Condition: { Null: { "s3:if-match": "true", "s3:if-none-match": "true" } },
      },
    ]);
    expect(single(resources, "AWS::S3::Bucket").Properties).toMatchObject({
      LifecycleConfiguration: {
        Rules: [{ Prefix: "a/b/", AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } }],
      },
    });
    expect(flatten(shared.stack.resolve(shared.store.location))).toBe(`s3://${bucket}/a/b`);
  });

  test("that is imported is refused until its policy is taken care of elsewhere", () => {
    const imported = (props: OpslogStoreProps) => (stack: Stack) => ({
      bucket: Bucket.fromBucketName(stack, "Imported", "company-data"),
      ...props,
    });
    expect(() => makeStore(imported({}))).toThrow(
      /imported bucket test\/Imported cannot be changed.*bucketPolicyStatements.*below store\/, then set manageBucketPolicy: false/,
    );
    const { stack, store } = makeStore(imported({ manageBucketPolicy: false }));
    expect(stack.resolve(store.location)).toBe("s3://company-data/store");
    const statements = store.bucketPolicyStatements.map((statement) => statement.toJSON());
    expect(statements.map(({ Action }) => Action)).toEqual([
      "s3:*",
      "s3:ListBucket",
      "s3:PutObject",
    ]);
    Template.fromStack(stack).resourceCountIs("AWS::S3::BucketPolicy", 0);
  });

  test("with a KMS key brings it along", () => {
    const shared = makeStore((stack) => {
      const encryptionKey = new Key(stack, "Key");
      return { bucket: new Bucket(stack, "Shared", { encryptionKey }) };
    });
    const resources = resourcesOf(shared);
    const role = ofType(resources, "AWS::IAM::Role").find(([id]) => id.includes("CompactRole"));
    const all = grants(roleStatements(resources, role?.[0] ?? ""));
    expect(all.filter((grant) => grant.startsWith("kms:"))).toHaveLength(2);
  });

  test("holds several stores, but none inside another", () => {
    const { stack, store } = makeStore({ prefix: "a/b" });
    const add = (id: string, prefix: string): OpslogStore =>
      new OpslogStore(stack, id, { bucket: store.bucket, prefix, compactor: { code: CODE } });
    add("Beside", "a/b2");
    for (const prefix of ["a/b", "a", "a/b/c"]) {
      expect(() => add(`At-${prefix}`, prefix)).toThrow(
        /overlaps "a\/b" of test\/Store in the same/,
      );
    }
  });
});

describe("the compactor", { timeout: SYNTH_MS }, () => {
  test("takes schedule, size, retention, and leaves the concurrency alone if the prop says so", () => {
    const resources = resourcesOf(
      makeStore({
        compactor: {
          every: Duration.hours(1),
          memoryMb: 3_008,
          timeout: Duration.minutes(15),
          reserveConcurrency: false,
          logRetention: RetentionDays.ONE_WEEK,
        },
      }),
    );
    const { Properties } = single(resources, "AWS::Lambda::Function");
    expect(Properties).toMatchObject({ MemorySize: 3_008, Timeout: 900 });
    expect(Properties).not.toHaveProperty("ReservedConcurrentExecutions");
    expect(single(resources, "AWS::Logs::LogGroup").Properties).toMatchObject({
      RetentionInDays: 7,
    });
    const { ScheduleExpression } = single(resources, "AWS::Scheduler::Schedule").Properties;
    expect(ScheduleExpression).toBe("rate(60 minutes)");
  });

  test("with several at once: room for them, and it may start them itself", async () => {
    const resources = resourcesOf(makeStore({ compactor: { parallel: 4 } }));
    const [compact = ""] = ofType(resources, "AWS::Lambda::Function").map(([id]) => id);
    const { Properties } = single(resources, "AWS::Lambda::Function");
    expect(Properties).toMatchObject({
      ReservedConcurrentExecutions: 4,
      Environment: { Variables: { OPSLOG_PARALLEL: "4" } },
    });
    const [role = ""] = ofType(resources, "AWS::IAM::Role").map(([id]) => id);
    const alone = resourcesOf(makeStore());
    const known = grants(roleStatements(alone, role));
    const added = grants(roleStatements(resources, role)).filter((grant) => !known.includes(grant));
    expect(added).toEqual([`lambda:InvokeFunction ${compact}.Arn`]);
    expect(single(alone, "AWS::Lambda::Function").Properties["Environment"]).toEqual({
      Variables: { OPSLOG_LOCATION: expect.anything(), ...memoryEnvironment(1_769) },
    });
    // A policy that the function depends on cannot name it: CloudFormation could make neither.
    const policies = ofType(resources, "AWS::IAM::Policy").filter(([id]) => id.includes("FanOut"));
    expect(policies).toHaveLength(1);
    expect(resources[compact]?.["DependsOn"]).not.toContain(policies[0]?.[0]);
    const plain = substance(await readPlainTemplate({ parallel: 4 }));
    const ours = substance(resources);
    for (const name of ["CompactFunction", "CompactRole"]) expect(ours[name]).toEqual(plain[name]);
  });

  test("needs the package's bundle when it is given none", () => {
    // The sources have none beside them; the built package has.
    const stack = new Stack(new App(), "test");
    expect(() => new OpslogStore(stack, "Store")).toThrow(
      /program is missing: expected .*compact\.js; run `npm run build`.*compactor\.code/,
    );
  });
});
