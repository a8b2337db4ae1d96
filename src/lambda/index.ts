/** `opslog-serverless/lambda`: handlers that reach S3 through the AWS SDK. */
import { compactorAccess } from "./compactor-access.ts";
import { type CreateCompactor, makeCreateCompactor } from "./compactor.ts";
import { sdkAccess } from "./sdk-access.ts";
import { makeStartCompactor } from "./compactor-starter.ts";
import type { StartCompactor } from "./start-compactor.ts";
import { type MakeStoreMiddleware, storeMiddlewareOver } from "./store-middleware.ts";
import { type WithStore, makeWithStore } from "./with-store.ts";

export type * from "./types.ts";

const s3 = /* @__PURE__ */ sdkAccess();
/**
 * Wraps a Lambda handler: each invocation has an open store, which is flushed before it returns.
 * @example
 * export const handler = withStore({ location: "s3://bucket/tasks" }, async (event, context, store) => {
 *   await store.set(event.id, event);
 * });
 */
export const withStore: WithStore = /* @__PURE__ */ makeWithStore(s3);
/**
 * The same as a Middy middleware: the store is `context.store`.
 * @example
 * export const handler = middy(async (event, context) => {
 *   await context.store.set(event.id, event);
 * }).use(storeMiddleware({ location: "s3://bucket/tasks" }));
 */
export const storeMiddleware: MakeStoreMiddleware = /* @__PURE__ */ storeMiddlewareOver(s3);
/**
 * Makes the handler of a scheduled function that compacts one store, or several. In a Lambda function
 * it reaches S3 through the light client, which takes less CPU.
 * @example
 * export const handler = createCompactor({ location: "s3://bucket/tasks" });
 */
export const createCompactor: CreateCompactor = /* @__PURE__ */ makeCreateCompactor(
  /* @__PURE__ */ compactorAccess(),
);
/**
 * Makes the option `onBacklog` of a store whose compactor is a function: many processes that see the
 * same backlog start it once. `withStore` needs it only without the variable OPSLOG_COMPACTOR.
 * @example
 * const onBacklog = startCompactor({ functionName: "tasks-compactor" });
 * const store = await Store.open("s3://bucket/tasks", { backend, agentId: "server-1", onBacklog });
 */
export const startCompactor: StartCompactor = /* @__PURE__ */ makeStartCompactor(s3);
