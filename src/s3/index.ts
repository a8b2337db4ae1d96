export { S3Backend, type S3BackendOptions } from "./sdk/s3-backend.ts";
export type { S3RequestEvent } from "./requests/exchange.ts";
