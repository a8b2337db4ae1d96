/** S3 through the AWS SDK. */
import { S3Backend } from "../s3/index.ts";
import { SharedSdk } from "../s3/sdk/shared-client.ts";
import type { S3Access } from "./s3-access.ts";

export function sdkAccess(): S3Access {
  const shared = new SharedSdk();
  return {
    backend: () => new S3Backend(),
    sharedBackend: () => shared.backend(),
    listLocations: (under, criteria) => shared.listLocations(under, criteria),
  };
}
