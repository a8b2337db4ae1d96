/** Props that cannot be used are refused when the construct is made, with what was found. */
import { Duration, RemovalPolicy, type Stack } from "aws-cdk-lib";
import { Bucket } from "aws-cdk-lib/aws-s3";
import { InvalidArgumentError } from "opslog-serverless";
import { describe, expect, test } from "vitest";
import type { OpslogStoreProps } from "../../infra/store-props.ts";
import { makeStore, SYNTH_MS } from "./support.ts";

describe("refused is", () => {
  const cases: [string, OpslogStoreProps, RegExp][] = [
    ["an empty prefix", { prefix: "" }, /prefix must be .* found ""/],
    ["a prefix that begins with a slash", { prefix: "/a" }, /prefix must be/],
    ["a prefix that ends in a slash", { prefix: "a/" }, /prefix must be/],
    ["a prefix with a wildcard", { prefix: "a*" }, /prefix must be/],
    ["a prefix with an IAM variable", { prefix: "${aws:x}" }, /prefix must be/],
    ["a prefix that climbs", { prefix: "a/../b" }, /prefix must be/],
    ["a prefix that is too long", { prefix: "a".repeat(101) }, /at most 100 characters/],
    ["a schedule of seconds", { compactor: { every: Duration.seconds(30) } }, /every in minutes/],
    ["a schedule of days", { compactor: { every: Duration.days(2) } }, /1 to 1440, found 2880/],
    ["a timeout Lambda lacks", { compactor: { timeout: Duration.hours(1) } }, /60 to 900/],
    ["too little memory", { compactor: { memoryMb: 128 } }, /memoryMb .* 512 to 10240, found 128/],
    ["no invocation at all", { compactor: { parallel: 0 } }, /parallel .* 1 to 16, found 0/],
    ["too many at once", { compactor: { parallel: 17 } }, /parallel .* 1 to 16, found 17/],
    ["no version days", { noncurrentVersionDays: 0 }, /noncurrentVersionDays .*found 0/],
    ["a threshold of nothing", { alarms: { backlogSegments: 0 } }, /backlogSegments .*found 0/],
    ["a policy left to nobody", { manageBucketPolicy: false }, /is for an existing bucket/],
    [
      "an age that every schedule exceeds",
      { compactor: { every: Duration.hours(1) }, alarms: { backlogAge: Duration.minutes(30) } },
      /backlogAge must be more than compactor\.every \(60 min\).* 30 minutes/,
    ],
  ];
  test.each(cases)("%s", { timeout: SYNTH_MS }, (_name, props, message) => {
    expect(() => makeStore(props)).toThrow(InvalidArgumentError);
    expect(() => makeStore(props)).toThrow(message);
  });

  test("a prefix that is a token, and props of a new bucket for one that exists", () => {
    const unknown = (stack: Stack): OpslogStoreProps => ({ prefix: stack.stackId });
    expect(() => makeStore(unknown)).toThrow(/prefix must be known at synthesis/);
    const existing = (stack: Stack): OpslogStoreProps => ({
      bucket: new Bucket(stack, "Shared"),
      noncurrentVersionDays: 7,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    expect(() => makeStore(existing)).toThrow(/noncurrentVersionDays, removalPolicy say how a new/);
  });
});
