/** `opslog-serverless/s3/light`: S3 without the AWS SDK. */
export { LightS3Backend, type LightS3BackendOptions } from "./light-s3-backend.ts";
export type { S3Credentials } from "./sigv4.ts";
