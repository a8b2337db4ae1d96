/** Where the example departs from the rules of cdk-nag's AwsSolutions, and why. */
import { Stack, Validations } from "aws-cdk-lib";
import { CfnBucket } from "aws-cdk-lib/aws-s3";
import type { IConstruct } from "constructs";
import type { RecordsStack } from "./records-stack.ts";

export const REASONS = {
  accessLogs:
    "A line of S3's access log for each request would cost more than the store. Who needs them " +
    "sets serverAccessLogsBucket, or turns on CloudTrail's data events.",
  below: "Object names are made as records are written: the wildcard is all below this folder.",
  leases: "A worker has a lease for its share, whose name holds its number: there are 272 of them.",
  itself: "The queue is the dead-letter queue; its depth has an alarm.",
} as const;

/** Each finding is named in full, so that none that is new is covered by an old one. */
export function acknowledgeFindings({ store, records }: RecordsStack): void {
  const { bucket, compactor, deadLetterQueue } = store;
  acknowledge(bucket, "AwsSolutions-S1", REASONS.accessLogs);
  acknowledge(deadLetterQueue, "AwsSolutions-SQS3", REASONS.itself);
  for (const folder of ["", "ops/"]) acknowledgeBelow(store, records.role, folder);
  const role = compactor.role ?? compactor;
  for (const folder of ["", "ops/", "snapshots/", "archive/"]) {
    acknowledgeBelow(store, role, folder);
  }
  acknowledgePattern(store, role, "compact-*.lease", REASONS.leases);
}

function acknowledgeBelow(
  { bucket, prefix }: RecordsStack["store"],
  grantee: IConstruct,
  folder: string,
): void {
  acknowledgePattern({ bucket, prefix }, grantee, `${folder}*`, REASONS.below);
}

function acknowledgePattern(
  { bucket, prefix }: Pick<RecordsStack["store"], "bucket" | "prefix">,
  grantee: IConstruct,
  pattern: string,
  reason: string,
): void {
  const made = bucket.node.defaultChild;
  const name = made instanceof CfnBucket ? Stack.of(made).resolve(made.logicalId) : "";
  const id = `AwsSolutions-IAM5[Resource::<${name}.Arn>/${prefix}/${pattern}]`;
  acknowledge(grantee, id, reason);
}

function acknowledge(scope: IConstruct, id: string, reason: string): void {
  Validations.of(scope).acknowledge({ id, reason });
}
