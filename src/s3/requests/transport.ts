/**
 * What the backend needs of S3: ten operations, each one attempt of one HTTP request. Two clients
 * carry them out: the AWS SDK (`s3/sdk/`) and one that signs requests itself (`s3/light/`). They
 * report request and answer to the exchange, and throw `RequestError` for an answer that is no success.
 */
import type { Exchange } from "./exchange.ts";

export interface S3Key {
  readonly bucket: string;
  readonly key: string;
}

export interface ObjectHead {
  /** As the server sent it; "" when it sent none. */
  readonly etag: string;
  /** Of the body that follows; undefined when the server did not say. */
  readonly bodyBytes: number | undefined;
  readonly lastModifiedMs: number | undefined;
}

/** Preconditions are header values, as they are sent. */
export interface S3Transport {
  /** Reads the body to its end. `range`: the Range header. */
  getObject(
    input: S3Key & { readonly range: string | undefined; readonly ifNoneMatch: string | undefined },
    exchange: Exchange,
  ): Promise<ObjectHead & { readonly contentRange: string | undefined; readonly body: Uint8Array }>;

  /** `metadata`: names in lower case, without "x-amz-meta-". */
  headObject(
    input: S3Key,
    exchange: Exchange,
  ): Promise<ObjectHead & { readonly metadata: Readonly<Record<string, string>> }>;

  putObject(
    input: S3Key & {
      readonly body: Uint8Array;
      readonly ifMatch: string | undefined;
      readonly ifNoneMatch: string | undefined;
    },
    exchange: Exchange,
  ): Promise<{ readonly etag: string }>;

  /** Names are percent-encoded where the server was able to (`encoded`). */
  listObjects(
    input: {
      readonly bucket: string;
      readonly prefix: string;
      /** Names with it behind the prefix are listed only up to it, each once, in `prefixes`. */
      readonly delimiter?: string | undefined;
      readonly keysMax: number;
      /** Only keys above it. */
      readonly startAfter?: string | undefined;
      readonly continuationToken?: string | undefined;
    },
    exchange: Exchange,
  ): Promise<ListedPage>;

  deleteObject(input: S3Key, exchange: Exchange): Promise<void>;

  /** Returns the keys of a 200 answer that were not deleted after all. */
  deleteObjects(
    input: { readonly bucket: string; readonly keys: readonly string[] },
    exchange: Exchange,
  ): Promise<readonly FailedDelete[]>;

  createUpload(
    input: S3Key & { readonly metadata: Readonly<Record<string, string>> },
    exchange: Exchange,
  ): Promise<{ readonly uploadId: string }>;

  uploadPart(
    input: S3Key & {
      readonly uploadId: string;
      readonly partNumber: number;
      readonly body: Uint8Array;
    },
    exchange: Exchange,
  ): Promise<UploadedPart>;

  completeUpload(
    input: S3Key & {
      readonly uploadId: string;
      readonly parts: readonly UploadedPart[];
      readonly ifNoneMatch: string | undefined;
    },
    exchange: Exchange,
  ): Promise<{ readonly etag: string }>;

  abortUpload(input: S3Key & { readonly uploadId: string }, exchange: Exchange): Promise<void>;

  /**
   * Closes connections that no request uses. After a freeze (Lambda) all of them may be dead, and
   * a request that is repeated would try one after the other.
   */
  closeIdle(): Promise<void>;

  /** Gives up connections, if they are its own; a later request makes new ones. */
  close(): void;
}

export interface ListedPage {
  readonly objects: readonly {
    readonly key: string;
    readonly bytes: number;
    readonly lastModifiedMs: number | undefined;
  }[];
  readonly prefixes: readonly string[];
  readonly encoded: boolean;
  readonly truncated: boolean;
  readonly continuationToken: string | undefined;
}

export interface FailedDelete {
  readonly key: string;
  readonly code: string;
  readonly message: string;
}

export interface UploadedPart {
  readonly partNumber: number;
  readonly etag: string | undefined;
  /** CRC-32 in base64, where the client made one. */
  readonly crc32: string | undefined;
}

export type Operation = Exclude<keyof S3Transport, "close" | "closeIdle">;

/** The input of an operation and its output. */
export type Input<Name extends Operation> = Parameters<S3Transport[Name]>[0];
export type Output<Name extends Operation> = ReturnType<S3Transport[Name]>;
