/** The backend's own SDK client. */
import { S3Client } from "@aws-sdk/client-s3";
import type { S3ClientConfig } from "@aws-sdk/client-s3";
import type { S3Settings } from "./s3-options.ts";

/**
 * A client that sends each request once: repeating is the backend's, which must know of every
 * attempt of a conditional write. The time limit of a request, too, is the backend's, because it
 * must also hold while a body arrives and with a caller's client.
 */
export function createClient(settings: S3Settings): S3Client {
  const custom = settings.endpoint ?? endpointOfEnvironment();
  const agent = { keepAlive: true, maxSockets: settings.maxSockets };
  const config: S3ClientConfig = {
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: settings.connectTimeoutMs,
      httpAgent: agent,
      httpsAgent: agent,
    },
  };
  if (settings.region !== undefined) config.region = settings.region;
  if (settings.endpoint !== undefined) config.endpoint = settings.endpoint;
  const forcePathStyle = settings.forcePathStyle ?? (custom === undefined ? undefined : true);
  if (forcePathStyle !== undefined) config.forcePathStyle = forcePathStyle;
  if (custom !== undefined) {
    // The SDK's default CRC32 makes many S3-compatible servers answer 501 or 400.
    config.requestChecksumCalculation = "WHEN_REQUIRED";
    config.responseChecksumValidation = "WHEN_REQUIRED";
  }
  return new S3Client(config);
}

/** The SDK reads these by itself; here they only tell that the server is not AWS. */
function endpointOfEnvironment(): string | undefined {
  const { AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: ignored } = process.env;
  if (ignored === "true") return undefined;
  return process.env["AWS_ENDPOINT_URL_S3"] || process.env["AWS_ENDPOINT_URL"] || undefined;
}
