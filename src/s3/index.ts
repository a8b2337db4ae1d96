export { S3Backend } from "./s3-backend.ts";
export type { S3BackendOptions, S3RequestEvent } from "./s3-options.ts";
