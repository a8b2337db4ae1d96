/** A small S3 client for functions that must start fast. */
import { BucketBackend } from "../bucket-backend.ts";
import { endpointOfEnvironment } from "../requests/endpoint.ts";
import { type CommonS3Options, resolveOptions, type S3Settings } from "../requests/options.ts";
import {
  credentialsOfEnvironment,
  regionOfEnvironment,
  variantOfEnvironment,
} from "./environment.ts";
import type { HttpClient } from "./http-client.ts";
import { LightTransport } from "./light-transport.ts";
import type { S3Credentials } from "./sigv4.ts";

/** Options of `LightS3Backend`. */
export interface LightS3BackendOptions extends CommonS3Options {
  /**
   * Credentials, or a function that returns them: called before every request, so it should cache them.
   * Default: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, as Lambda sets them.
   */
  readonly credentials?: S3Credentials | (() => S3Credentials | Promise<S3Credentials>) | undefined;
}

/**
 * As `S3Backend`, without the AWS SDK: requests are signed here (Signature Version 4). No profiles,
 * no SSO, no instance metadata, no access point ARNs, and regions of AWS and AWS China only unless
 * `endpoint` is given.
 * @example
 * const backend = new LightS3Backend({ region: "eu-central-1" });
 * const store = await Store.open("s3://bucket/tasks", { backend, skipLoad: true });
 */
export class LightS3Backend extends BucketBackend {
  /** @throws InvalidArgumentError for unknown option names and unusable values */
  constructor(options: LightS3BackendOptions = {}) {
    const { settings, transport } = lightTransport(options);
    super(settings, transport);
  }
}

/**
 * @param shared connections to use instead of new ones
 * @throws as the constructor
 */
export function lightTransport(
  options: LightS3BackendOptions,
  shared?: HttpClient,
): {
  readonly settings: S3Settings;
  readonly transport: LightTransport;
} {
  const settings = resolveOptions(options, {
    name: "LightS3Backend",
    option: "credentials",
    credentials:
      options.credentials === undefined
        ? "in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (this client reads no profile)"
        : "from the option credentials",
  });
  const { credentials = credentialsOfEnvironment } = options;
  const access = {
    credentials: async () => (typeof credentials === "function" ? credentials() : credentials),
    region: options.region ?? regionOfEnvironment(),
    endpoint: settings.endpoint ?? endpointOfEnvironment(),
    variant: variantOfEnvironment(),
  };
  return { settings, transport: new LightTransport(settings, access, shared) };
}
