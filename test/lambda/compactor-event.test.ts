/** Every shape of event that starts a compactor, as AWS documents it. */
import { describe, expect, test } from "vitest";
import { wantedBy } from "../../src/lambda/compactor-event.ts";

const KEY = "team a/ops/6/agent-1-650c35ec63fa1c20/1-1-2-x.jsonl";
/** As S3 encodes it. */
const ENCODED = "team+a/ops/6/agent-1-650c35ec63fa1c20/1-1-2-x.jsonl";
const URL_OF_KEY = `s3://bucket/${KEY}`;

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html */
const S3 = {
  Records: [
    {
      eventVersion: "2.1",
      eventSource: "aws:s3",
      eventName: "ObjectCreated:Put",
      s3: {
        s3SchemaVersion: "1.0",
        bucket: { name: "bucket", arn: "arn:aws:s3:::bucket" },
        object: { key: ENCODED, size: 251, eTag: "e", sequencer: "0055AED6DCD90281E5" },
      },
    },
  ],
};
const S3_TEST = { Service: "Amazon S3", Event: "s3:TestEvent", Bucket: "bucket" };
/** https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html */
const sqs = (...bodies: unknown[]) => ({
  Records: bodies.map((body) => ({
    messageId: "m",
    eventSource: "aws:sqs",
    body: typeof body === "string" ? body : JSON.stringify(body),
  })),
});
/** https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html */
const sns = (message: unknown) => ({
  Records: [{ EventSource: "aws:sns", Sns: { Message: JSON.stringify(message) } }],
});
/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html: keys are not encoded. */
const EVENTBRIDGE = {
  version: "0",
  "detail-type": "Object Created",
  source: "aws.s3",
  detail: { bucket: { name: "bucket" }, object: { key: KEY, size: 251 } },
};

describe("all stores that are due", () => {
  test.each([
    ["EventBridge Scheduler", "aws.scheduler", "{}"],
    ["a rule of EventBridge", "aws.events", {}],
  ])("%s", (_, source, detail) => {
    const event = { version: "0", "detail-type": "Scheduled Event", source, detail };
    expect(wantedBy(event)).toBe("scheduled");
  });
});

describe("the stores that are named", () => {
  test.each([
    ["S3", S3, [URL_OF_KEY]],
    ["S3 through SQS", sqs(S3, S3), [URL_OF_KEY]],
    ["S3 through SNS", sns(S3), [URL_OF_KEY]],
    ["S3 through SNS and SQS", sqs({ Type: "Notification", ...sns(S3) }), [URL_OF_KEY]],
    ["S3 through EventBridge", EVENTBRIDGE, [URL_OF_KEY]],
    ["S3 through EventBridge and SQS", sqs(EVENTBRIDGE, S3_TEST), [URL_OF_KEY]],
    ["a writer", { location: "s3://bucket/a", segments: 1_001 }, ["s3://bucket/a"]],
    ["Step Functions", { location: "s3://bucket/a", attempt: 1 }, ["s3://bucket/a"]],
    ["SQS", sqs({ location: "s3://b/a" }, { location: "s3://b/b" }), ["s3://b/a", "s3://b/b"]],
  ])("%s", (_, event, urls) => {
    expect(wantedBy(event)).toEqual(new Set(urls));
  });
});

describe("all stores, now", () => {
  test.each([
    [undefined],
    [null],
    ["text"],
    [{}],
    [{ location: 1 }],
    [{ Records: "none" }],
    [{ Records: [null, { s3: {} }, { s3: { bucket: { name: 1 }, object: {} } }] }],
    [{ Records: [{ s3: { bucket: { name: "b" }, object: { key: "%" } } }] }],
    [sqs("no JSON", S3_TEST, "[]")],
  ])("%j", (event) => {
    expect(wantedBy(event)).toBe("now");
  });
});
