/** What both entry points of the handlers export besides their functions. */
export type { CompactorReport } from "./store-compaction.ts";
export type {
  CompactorOptions,
  CreateCompactor,
  FleetCompactorOptions,
  FleetReport,
  StoreOutcome,
} from "./compactor.ts";
export type { LambdaContext } from "./context.ts";
export type { WithStoreOptions } from "./invocation.ts";
export type { StartCompactor, StartCompactorOptions } from "./start-compactor.ts";
export type {
  MakeStoreMiddleware,
  MiddlewareRequest,
  StoreContext,
  StoreMiddleware,
} from "./store-middleware.ts";
export type { LocationOptions } from "./warm-location.ts";
export type { WorkerEvent, WorkerTask } from "./worker-event.ts";
export type { StoreHandler, WithStore } from "./with-store.ts";
