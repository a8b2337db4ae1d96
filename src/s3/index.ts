export { S3Backend, type S3BackendOptions } from "./s3-backend.ts";
export type { S3RequestEvent } from "./s3-options.ts";
