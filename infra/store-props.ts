/** The props of a store, their defaults, and what is refused. Creates nothing. */
import { Duration, type RemovalPolicy, Token } from "aws-cdk-lib";
import type { IAlarmAction } from "aws-cdk-lib/aws-cloudwatch";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { Code } from "aws-cdk-lib/aws-lambda";
import { RetentionDays } from "aws-cdk-lib/aws-logs";
import type { Bucket, IBucket } from "aws-cdk-lib/aws-s3";
import { InvalidArgumentError } from "opslog-serverless";

/** Under `exactOptionalPropertyTypes` the CDK's Bucket is no IBucket. */
export type AnyBucket = Bucket | IBucket;

/** Options of the compactor. */
export interface CompactorProps {
  /**
   * How often a pass begins: whole minutes, 1 minute to 1 day. Default 1 minute; a store that is idle
   * is looked at every 15 minutes.
   */
  readonly every?: Duration | undefined;
  /** Memory in MB, 512 to 10,240; CPU grows with it. Default 1,769: one whole vCPU. */
  readonly memoryMb?: number | undefined;
  /** Whole seconds, 1 to 15 minutes. A pass that is cut off is gone on with. Default 5 minutes. */
  readonly timeout?: Duration | undefined;
  /**
   * How many invocations at once may work off a long backlog, 1 to 16: the scheduled one starts the
   * others, which its role may then do. Default 1. `code` of your own reads it from OPSLOG_PARALLEL.
   */
  readonly parallel?: number | undefined;
  /**
   * False takes no execution from the account's limit, and lets more compactors run at once, which
   * is harmless: leases make those that are too many stop. Default true: at most `parallel`.
   */
  readonly reserveConcurrency?: boolean | undefined;
  /** Default ONE_MONTH. */
  readonly logRetention?: RetentionDays | undefined;
  /**
   * Code with the handler `compact.handler` that reads its location from OPSLOG_LOCATION. Default:
   * the bundle that this package ships.
   */
  readonly code?: Code | undefined;
}

/** Which alarms there are, and whom they notify. */
export interface AlarmProps {
  /** What every alarm does when it rings, and when it stops. Default: nothing. */
  readonly actions?: readonly IAlarmAction[] | undefined;
  /** Age of the oldest segment not merged. Default: 20 minutes, or 3 schedules if that is more. */
  readonly backlogAge?: Duration | undefined;
  /** Segments not merged. Default 1,000: above it, listing the log takes more than one request. */
  readonly backlogSegments?: number | undefined;
}

/** Options of `OpslogStore`. */
export interface OpslogStoreProps {
  /**
   * A bucket that is there already; the store is then a prefix of it. Default: a bucket of its own,
   * private, encrypted, TLS only, kept when the stack is deleted.
   */
  readonly bucket?: AnyBucket | undefined;
  /**
   * Where in the bucket the store lies: parts of A-Z, a-z, 0-9, "_", "-", "." and "=", joined by
   * "/", at most 100 characters. Known at synthesis: no token. Default "store".
   */
  readonly prefix?: string | undefined;
  /**
   * False leaves the bucket's policy alone, as for an imported bucket it must be: add
   * `bucketPolicyStatements` where that policy is kept. Default true.
   */
  readonly manageBucketPolicy?: boolean | undefined;
  /**
   * KMS key that encrypts the objects: of the new bucket, or what the existing one uses. Whoever is
   * granted the store is granted the key. Default: the existing bucket's, else keys of S3.
   */
  readonly encryptionKey?: IKey | undefined;
  /**
   * New bucket: keep what is overwritten or deleted for so many days (versioning). Default: do not.
   * The store loses nothing without it, and merged segments would be paid for that much longer.
   */
  readonly noncurrentVersionDays?: number | undefined;
  /** New bucket: takes S3's access logs. Default: none. */
  readonly serverAccessLogsBucket?: IBucket | undefined;
  /** New bucket: what becomes of it with the stack. Default RETAIN. */
  readonly removalPolicy?: RemovalPolicy | undefined;
  /** Schedule, size and code of the compactor. Default: those of `CompactorProps`. */
  readonly compactor?: CompactorProps | undefined;
  /** Thresholds and actions; false: no alarms. */
  readonly alarms?: AlarmProps | false | undefined;
}

export interface CompactorSettings {
  readonly every: Duration;
  readonly memoryMb: number;
  readonly timeout: Duration;
  readonly parallel: number;
  readonly reserveConcurrency: boolean;
  readonly logRetention: RetentionDays;
  readonly code: Code | undefined;
}

export interface AlarmSettings {
  readonly actions: readonly IAlarmAction[];
  readonly backlogAge: Duration;
  readonly backlogSegments: number;
}

const DEFAULT_PREFIX = "store";
const PREFIX_CHARACTERS_MAX = 100;
const MINUTES_PER_DAY = 1_440;
/** The first write after a quiet time waits for up to 16: see `idleMaxMs` of `createCompactor`. */
const BACKLOG_AGE_MINUTES = 20;

/** Names of props that say how a new bucket is made. */
const NEW_BUCKET_PROPS = [
  "noncurrentVersionDays",
  "serverAccessLogsBucket",
  "removalPolicy",
] as const;

/**
 * No character has a meaning in an IAM pattern.
 * @throws InvalidArgumentError
 */
export function checkPrefix(prefix: string = DEFAULT_PREFIX): string {
  if (Token.isUnresolved(prefix)) {
    throw new InvalidArgumentError(
      "prefix must be known at synthesis, found a token: permissions are written with it",
    );
  }
  const parts = prefix.split("/");
  const usable = parts.every((part) => /^[\w.=-]+$/.test(part) && part !== "." && part !== "..");
  if (usable && prefix.length <= PREFIX_CHARACTERS_MAX) return prefix;
  throw new InvalidArgumentError(
    `prefix must be parts of A-Z, a-z, 0-9, "_", "-", "." and "=" joined by "/", at most ` +
      `${PREFIX_CHARACTERS_MAX} characters, without a "/" at either end; ` +
      `found ${JSON.stringify(prefix)}`,
  );
}

/** @throws InvalidArgumentError for a prop that says how a bucket is made when one is given */
export function checkBucketProps(props: OpslogStoreProps): void {
  const { bucket, noncurrentVersionDays: days } = props;
  const refused = NEW_BUCKET_PROPS.filter((name) => props[name] !== undefined);
  if (bucket !== undefined && refused.length > 0) {
    throw new InvalidArgumentError(
      `${refused.join(", ")} say how a new bucket is made, but bucket names an existing one: ` +
        "leave them out, and set the same on that bucket",
    );
  }
  if (bucket === undefined && props.manageBucketPolicy === false) {
    throw new InvalidArgumentError(
      "manageBucketPolicy: false is for an existing bucket: give it as bucket",
    );
  }
  if (days !== undefined) integer("noncurrentVersionDays", days, 1, 3_650);
}

/** @throws InvalidArgumentError */
export function resolveCompactor(props: CompactorProps = {}): CompactorSettings {
  const every = props.every ?? Duration.minutes(1);
  const timeout = props.timeout ?? Duration.minutes(5);
  integer("compactor.every in minutes", every.toMinutes({ integral: false }), 1, MINUTES_PER_DAY);
  integer("compactor.timeout in seconds", timeout.toSeconds({ integral: false }), 60, 900);
  return {
    every,
    memoryMb: integer("compactor.memoryMb", props.memoryMb ?? 1_769, 512, 10_240),
    timeout,
    parallel: integer("compactor.parallel", props.parallel ?? 1, 1, 16),
    reserveConcurrency: props.reserveConcurrency ?? true,
    logRetention: props.logRetention ?? RetentionDays.ONE_MONTH,
    code: props.code,
  };
}

/** @throws InvalidArgumentError */
export function resolveAlarms(props: AlarmProps, every: Duration): AlarmSettings {
  const everyMinutes = every.toMinutes();
  const backlogAge =
    props.backlogAge ?? Duration.minutes(Math.max(BACKLOG_AGE_MINUTES, 3 * everyMinutes));
  if (backlogAge.toMilliseconds() <= every.toMilliseconds()) {
    throw new InvalidArgumentError(
      `alarms.backlogAge must be more than compactor.every (${everyMinutes} min), or it would ` +
        `ring between two passes; found ${backlogAge.toHumanString()}`,
    );
  }
  return {
    actions: props.actions ?? [],
    backlogAge,
    backlogSegments: integer("alarms.backlogSegments", props.backlogSegments ?? 1_000, 1, 1e9),
  };
}

function integer(name: string, value: number, least: number, most: number): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw new InvalidArgumentError(
    `${name} must be a whole number from ${least} to ${most}, found ${value}`,
  );
}
