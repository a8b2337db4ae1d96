/** S3 as a compactor reaches it: through the client that takes less CPU, wherever both do the same. */
import { lightAccess } from "./light-access.ts";
import type { S3Access } from "./s3-access.ts";
import { sdkAccess } from "./sdk-access.ts";

/** Regions whose host names the light client does not know. */
const OTHER_REGIONS = /^[a-z]+-iso|^eusc-/;

/** The light client in a Lambda function, the AWS SDK elsewhere: there may be profiles. */
export function compactorAccess(
  light: S3Access = lightAccess(),
  sdk: S3Access = sdkAccess(),
): S3Access {
  const chosen = (): S3Access => (isInLambda() ? light : sdk);
  return {
    backend: () => chosen().backend(),
    sharedBackend: () => chosen().sharedBackend(),
    listLocations: (under, criteria) => chosen().listLocations(under, criteria),
  };
}

/** Whether Lambda has set all that the light client needs. */
function isInLambda(): boolean {
  const { AWS_LAMBDA_FUNCTION_NAME, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION } =
    process.env;
  const has = AWS_LAMBDA_FUNCTION_NAME && AWS_ACCESS_KEY_ID && AWS_SECRET_ACCESS_KEY && AWS_REGION;
  return Boolean(has) && !OTHER_REGIONS.test(AWS_REGION ?? "");
}
