/** Region, credentials and kinds of endpoints from the environment, as Lambda sets it. */
import { RequestError } from "../requests/errors.ts";
import type { AddressSettings } from "./address.ts";
import type { S3Credentials } from "./sigv4.ts";

export function regionOfEnvironment(): string | undefined {
  return process.env["AWS_REGION"] || process.env["AWS_DEFAULT_REGION"] || undefined;
}

/** @throws RequestError without them */
export function credentialsOfEnvironment(): S3Credentials {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY) {
    const message = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set";
    throw new RequestError({ name: "CredentialsProviderError", message });
  }
  return {
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    sessionToken: AWS_SESSION_TOKEN || undefined,
  };
}

export function variantOfEnvironment(): AddressSettings["variant"] {
  return {
    fips: process.env["AWS_USE_FIPS_ENDPOINT"] === "true",
    dualStack: process.env["AWS_USE_DUALSTACK_ENDPOINT"] === "true",
  };
}
