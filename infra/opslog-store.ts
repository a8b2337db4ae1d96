/** A store as a construct: bucket, compactor, schedule, alarms, and who may use it. */
import { Duration, RemovalPolicy } from "aws-cdk-lib";
import type { Alarm, Metric, MetricOptions } from "aws-cdk-lib/aws-cloudwatch";
import { Grant, type IGrantable, type PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { Function } from "aws-cdk-lib/aws-lambda";
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type LifecycleRule,
  ObjectOwnership,
} from "aws-cdk-lib/aws-s3";
import type { Queue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { InvalidArgumentError } from "opslog-serverless";
import { Compactor } from "./compactor.ts";
import {
  type Access,
  compactAccess,
  maintainAccess,
  manifestStatement,
  readAccess,
  readWriteAccess,
  startAccess,
  type StorePlace,
  tlsStatements,
} from "./store-access.ts";
import { type MetricName, StoreAlarms, storeMetric } from "./store-alarms.ts";
import {
  type AnyBucket,
  checkBucketProps,
  checkPrefix,
  type OpslogStoreProps,
  resolveAlarms,
  resolveCompactor,
} from "./store-props.ts";

/**
 * A store in a bucket of its own or below a prefix of an existing one, with its scheduled
 * compactor, dead-letter queue and alarms. Functions get `location` (as OPSLOG_LOCATION) and one of
 * the grants.
 *
 * @throws InvalidArgumentError for a prefix that cannot be used, one that overlaps another store's
 *   in the same bucket, props that contradict each other or are out of range, and an imported
 *   bucket whose policy cannot be changed from here
 */
export class OpslogStore extends Construct {
  /** The bucket that holds the store. */
  readonly bucket: AnyBucket;
  /** Where in the bucket the store lies, without a "/" at its end. */
  readonly prefix: string;
  /** `s3://bucket/prefix`: what `Store.open`, `withStore` and `createCompactor` take. */
  readonly location: string;
  /** The function that compacts the store. */
  readonly compactor: Function;
  /** Takes the events that the schedule could not hand to the compactor. */
  readonly deadLetterQueue: Queue;
  /**
   * BacklogAge, BacklogSegments, FallingBehind, CompactorFailing, CompactorSilent, DeadLetters; or
   * none.
   */
  readonly alarms: readonly Alarm[];
  readonly #key: IKey | undefined;
  readonly #sharesBucket: boolean;

  constructor(scope: Construct, id: string, props: OpslogStoreProps = {}) {
    super(scope, id);
    checkBucketProps(props);
    this.prefix = checkPrefix(props.prefix);
    const settings = resolveCompactor(props.compactor);
    const { alarms = {} } = props;
    const alarmSettings = alarms === false ? undefined : resolveAlarms(alarms, settings.every);

    this.#sharesBucket = props.bucket !== undefined;
    this.bucket = props.bucket ?? this.#makeBucket(props);
    this.#key = props.encryptionKey ?? this.bucket.encryptionKey;
    this.location = `s3://${this.bucket.bucketName}/${this.prefix}`;
    this.#checkAlone();
    if (props.manageBucketPolicy ?? true) this.#protect();

    const compactor = new Compactor(this, "Compactor", this.location, settings);
    this.compactor = compactor.function;
    this.deadLetterQueue = compactor.deadLetterQueue;
    this.#grant(this.compactor, compactAccess(this.#place()));
    const watched = { ...pick(compactor), location: this.location, every: settings.every };
    this.alarms =
      alarmSettings === undefined
        ? []
        : new StoreAlarms(this, "Alarms", watched, alarmSettings).alarms;
  }

  /** May open the store with `readOnly`, and read everything in it. */
  grantRead(grantee: IGrantable): Grant {
    return this.#grant(grantee, readAccess(this.#place()));
  }

  /**
   * May do what a handler of `withStore` does: read, and append to the log. It can touch neither
   * manifest nor snapshots, so it cannot `compact` or `archive`.
   */
  grantReadWrite(grantee: IGrantable): Grant {
    return this.#grant(grantee, readWriteAccess(this.#place()));
  }

  /** May do everything the library does: write without an agentId, `compact`, `archive`. */
  grantMaintain(grantee: IGrantable): Grant {
    return this.#grant(grantee, maintainAccess(this.#place()));
  }

  /**
   * Lets a function that reads or writes the store start the compactor when it sees a backlog, in
   * addition to another grant: `withStore` does so where OPSLOG_COMPACTOR names it, as it does then.
   * Many functions that see the same backlog start it once.
   */
  grantStartCompactor(handler: Function): Grant {
    handler.addEnvironment("OPSLOG_COMPACTOR", this.compactor.functionName);
    // Not `grantInvoke`, which includes every version and alias.
    const invoke = Grant.addToPrincipal({
      grantee: handler,
      actions: ["lambda:InvokeFunction"],
      resourceArns: [this.compactor.functionArn],
    });
    invoke.assertSuccess();
    return invoke.combine(this.#grant(handler, startAccess(this.#place())));
  }

  /** A metric of the compactor; statistic as its kind requires, period 5 minutes by default. */
  metric(name: MetricName, options?: MetricOptions): Metric {
    return storeMetric(this.location, name, options);
  }

  /** What the bucket's policy must refuse for this store; already in it by default. */
  get bucketPolicyStatements(): PolicyStatement[] {
    const place = this.#place();
    const tls = this.#sharesBucket ? tlsStatements(place) : [];
    return [...tls, manifestStatement(place)];
  }

  #place(): StorePlace {
    return { bucketArn: this.bucket.bucketArn, prefix: this.prefix };
  }

  #makeBucket(props: OpslogStoreProps): Bucket {
    const { encryptionKey, noncurrentVersionDays: days, serverAccessLogsBucket } = props;
    return new Bucket(this, "Bucket", {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      // The data outlives the stack.
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN,
      ...(encryptionKey === undefined
        ? { encryption: BucketEncryption.S3_MANAGED }
        : { encryption: BucketEncryption.KMS, encryptionKey, bucketKeyEnabled: true }),
      versioned: days !== undefined,
      lifecycleRules: [
        abortIncompleteUploads("abort-incomplete-uploads"),
        ...(days === undefined ? [] : [expireNoncurrent(days)]),
      ],
      ...(serverAccessLogsBucket === undefined ? {} : { serverAccessLogsBucket }),
    });
  }

  /** Two stores whose keys mix would each take the other's objects for rubbish. */
  #checkAlone(): void {
    const own = `${this.prefix}/`;
    for (const other of this.node.root.node.findAll()) {
      if (!(other instanceof OpslogStore) || other === this || other.bucket === undefined) continue;
      if (other.bucket.bucketName !== this.bucket.bucketName) continue;
      const theirs = `${other.prefix}/`;
      if (!own.startsWith(theirs) && !theirs.startsWith(own)) continue;
      throw new InvalidArgumentError(
        `prefix ${JSON.stringify(this.prefix)} overlaps ${JSON.stringify(other.prefix)} of ` +
          `${other.node.path} in the same bucket: give each store its own`,
      );
    }
  }

  /** What a new bucket has by itself is added to an existing one, for this prefix only. */
  #protect(): void {
    for (const statement of this.bucketPolicyStatements) {
      if (this.bucket.addToResourcePolicy(statement).statementAdded) continue;
      throw new InvalidArgumentError(
        `the policy of the imported bucket ${this.bucket.node.path} cannot be changed from here. ` +
          "Add store.bucketPolicyStatements where it is kept, and a lifecycle rule that aborts " +
          `incomplete uploads below ${this.prefix}/, then set manageBucketPolicy: false`,
      );
    }
    if (this.#sharesBucket && this.bucket instanceof Bucket) {
      const id = `abort-incomplete-uploads-of-${this.node.addr}`;
      this.bucket.addLifecycleRule({ ...abortIncompleteUploads(id), prefix: `${this.prefix}/` });
    }
  }

  #grant(grantee: IGrantable, { permissions, keyActions }: Access): Grant {
    const grants = permissions.map(({ actions, resources, conditions }) =>
      Grant.addToPrincipal({
        grantee,
        actions: [...actions],
        resourceArns: [...resources],
        ...(conditions === undefined ? {} : { conditions }),
      }),
    );
    for (const grant of grants) grant.assertSuccess();
    const onKey = this.#key?.grant(grantee, ...keyActions);
    return [...grants, ...(onKey === undefined ? [] : [onKey])].reduce((a, b) => a.combine(b));
  }
}

/** What a compactor that was cut off in the middle of a large upload leaves behind. */
function abortIncompleteUploads(id: string): LifecycleRule {
  return { id, abortIncompleteMultipartUploadAfter: Duration.days(1) };
}

function expireNoncurrent(days: number): LifecycleRule {
  return {
    id: "expire-noncurrent-versions",
    noncurrentVersionExpiration: Duration.days(days),
    // A marker without versions below it only makes listings slower.
    expiredObjectDeleteMarker: true,
  };
}

function pick({ function: compact, deadLetterQueue }: Compactor) {
  return { function: compact, deadLetterQueue };
}
