/** The document store's home, through the AWS SDK. */
import type { S3Client } from "@aws-sdk/client-s3";
import { InvalidArgumentError } from "../../core/errors.ts";
import { BucketBackend } from "../bucket-backend.ts";
import { type CommonS3Options, resolveOptions } from "../requests/options.ts";
import { SdkTransport } from "./sdk-transport.ts";

/** Options of `S3Backend`. */
export interface S3BackendOptions extends CommonS3Options {
  /**
   * A client of your own; never destroyed by the backend. `region`, `endpoint`, `forcePathStyle`
   * and `connectTimeoutMs` are then the client's affair and ignored here.
   */
  readonly client?: S3Client | undefined;
}

/**
 * Keeps a store below an `s3://bucket/prefix` location. Works on AWS S3, MinIO, Ceph RGW and R2
 * without settings; region and credentials are those that the AWS SDK finds.
 * @example
 * const backend = new S3Backend({ region: "eu-central-1" });
 * const store = await Store.open("s3://bucket/tasks", { backend, agentId: "worker-1" });
 */
export class S3Backend extends BucketBackend {
  /** @throws InvalidArgumentError for unknown option names and unusable values */
  constructor(options: S3BackendOptions = {}) {
    const { client } = options;
    const settings = resolveOptions(options, { name: "S3Backend", option: "client" });
    if (client !== undefined && typeof client.send !== "function") {
      throw new InvalidArgumentError("client must be an S3Client of @aws-sdk/client-s3");
    }
    if (client?.config?.cacheMiddleware === true) {
      // The middleware of the first request would then be used for all others of its kind.
      throw new InvalidArgumentError("client must not be made with cacheMiddleware: true");
    }
    super(settings, new SdkTransport(settings, client));
  }
}
