/** `opslog-serverless/lambda`: names only. Loads the AWS SDK, for locations on S3. */
export type { CompactorReport } from "./compaction-turn.ts";
export {
  type CompactorOptions,
  createCompactor,
  type FleetCompactorOptions,
  type FleetReport,
  type StoreOutcome,
} from "./compactor.ts";
export type { LambdaContext } from "./context.ts";
export type { WithStoreOptions } from "./invocation.ts";
export {
  type MiddlewareRequest,
  type StoreContext,
  storeMiddleware,
  type StoreMiddleware,
} from "./store-middleware.ts";
export type { LocationOptions } from "./warm-location.ts";
export { type StoreHandler, withStore } from "./with-store.ts";
