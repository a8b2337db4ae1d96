/**
 * Who may do what with the objects of a store: one permission for each request that the code
 * sends, and what the bucket itself refuses. Names of objects as in src/format/paths.ts.
 */
import { AnyPrincipal, Effect, PolicyStatement } from "aws-cdk-lib/aws-iam";

/** The ARN of the bucket, and where in it the store lies. */
export interface StorePlace {
  readonly bucketArn: string;
  readonly prefix: string;
}

export interface Permission {
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions?: Record<string, Record<string, readonly string[]>>;
}

/** A role's way of using the store. */
export interface Access {
  readonly permissions: readonly Permission[];
  /** Needed in addition where the objects are encrypted with a KMS key. */
  readonly keyActions: readonly string[];
}

// This directory is compiled by itself and cannot import src/format; a test compares the names.
export const MANIFEST = "manifest.json";
export const LEASE = "compact.lease";
/** Of workers: each has one for its share. */
export const WORKER_LEASES = "compact-*.lease";
export const START = "compact.start";
export const WRITER_LEASE = "writer.lease";
export const LOG = "ops/*";
export const RUNS = "snapshots/*";
export const ARCHIVES = "archive/*";

const READ_KEY = ["kms:Decrypt"];
/** A multipart upload also decrypts: its parts. */
const WRITE_KEY = ["kms:Decrypt", "kms:GenerateDataKey"];

/** Any kind of reading, eager and lazy, archives included. */
export function readAccess(place: StorePlace): Access {
  // An eager store that finds no manifest lists `snapshots/`, to distinguish a new store from a lost one.
  return { permissions: [get(place), list(place, LOG, RUNS)], keyActions: READ_KEY };
}

/** What handlers of `withStore` do: lazy reads, and appends to the log. */
export function readWriteAccess(place: StorePlace): Access {
  // A lazy store that finds no manifest lists `snapshots/` before it writes, as an eager one does.
  const permissions = [get(place), list(place, LOG, RUNS), put(place, LOG)];
  return { permissions, keyActions: WRITE_KEY };
}

/** What the scheduled function does. */
export function compactAccess(place: StorePlace): Access {
  return {
    permissions: [
      get(place),
      // In `archive/` it deletes what an archive that was cut off left behind; it makes none.
      list(place, LOG, RUNS, ARCHIVES),
      // In `ops/` it seals lanes, and aborts transactions that nobody decides.
      put(place, MANIFEST, LEASE, WORKER_LEASES, LOG, RUNS),
      permission("s3:AbortMultipartUpload", objects(place, RUNS)),
      permission("s3:DeleteObject", objects(place, LOG, RUNS, ARCHIVES)),
    ],
    keyActions: WRITE_KEY,
  };
}

/** What a function needs in addition to start the compactor when it sees a backlog. */
export function startAccess(place: StorePlace): Access {
  return { permissions: [put(place, START)], keyActions: WRITE_KEY };
}

/** Everything that a program can do with its store: single writer, `compact`, `archive`, tools. */
export function maintainAccess(place: StorePlace): Access {
  return {
    permissions: [
      get(place),
      list(place, LOG, RUNS, ARCHIVES),
      put(place, MANIFEST, LEASE, WORKER_LEASES, START, WRITER_LEASE, LOG, RUNS, ARCHIVES),
      permission("s3:AbortMultipartUpload", objects(place, RUNS, ARCHIVES)),
      permission("s3:DeleteObject", objects(place, LOG, RUNS, ARCHIVES)),
    ],
    keyActions: WRITE_KEY,
  };
}

/** For the policy of a bucket that is shared: what it must refuse on the store's behalf. */
export function tlsStatements({ bucketArn, prefix }: StorePlace): PolicyStatement[] {
  const insecure = { Bool: { "aws:SecureTransport": "false" } };
  const pattern = { "s3:prefix": [`${prefix}/*`] };
  return [
    deny("s3:*", `${bucketArn}/${prefix}/*`, insecure),
    deny("s3:ListBucket", bucketArn, { ...insecure, StringLike: pattern }),
  ];
}

/**
 * The manifest is the root of the store: a PUT without `If-Match` or `If-None-Match` would replace
 * what another process published. Both keys are absent only then. An upload in parts, or a copy,
 * has no such header when it begins, so it is refused as well.
 */
export function manifestStatement({ bucketArn, prefix }: StorePlace): PolicyStatement {
  const unconditional = { Null: { "s3:if-match": "true", "s3:if-none-match": "true" } };
  return deny("s3:PutObject", `${bucketArn}/${prefix}/${MANIFEST}`, unconditional);
}

function get(place: StorePlace): Permission {
  return permission("s3:GetObject", objects(place, "*"));
}

function put(place: StorePlace, ...paths: readonly string[]): Permission {
  return permission("s3:PutObject", objects(place, ...paths));
}

/**
 * IfExists: a GET of an absent object is answered 404 only to those who may list the bucket, and
 * that check names no prefix. With 403 instead, no reader could recognise an absent manifest.
 */
function list({ bucketArn, prefix }: StorePlace, ...paths: readonly string[]): Permission {
  const prefixes = paths.map((path) => `${prefix}/${path}`);
  const conditions = { StringLikeIfExists: { "s3:prefix": prefixes } };
  return { ...permission("s3:ListBucket", [bucketArn]), conditions };
}

function objects({ bucketArn, prefix }: StorePlace, ...paths: readonly string[]): string[] {
  return paths.map((path) => `${bucketArn}/${prefix}/${path}`);
}

function permission(action: string, resources: readonly string[]): Permission {
  return { actions: [action], resources };
}

function deny(action: string, resource: string, conditions: Record<string, object>) {
  return new PolicyStatement({
    effect: Effect.DENY,
    principals: [new AnyPrincipal()],
    actions: [action],
    resources: [resource],
    conditions,
  });
}
