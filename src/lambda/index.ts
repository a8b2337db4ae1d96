/** `opslog-serverless/lambda`: handlers that reach S3 through the AWS SDK. */
import { type CreateCompactor, makeCreateCompactor } from "./compactor.ts";
import { sdkAccess } from "./sdk-access.ts";
import { type MakeStoreMiddleware, storeMiddlewareOver } from "./store-middleware.ts";
import { type WithStore, makeWithStore } from "./with-store.ts";

export type * from "./types.ts";

const s3 = /* @__PURE__ */ sdkAccess();
export const withStore: WithStore = /* @__PURE__ */ makeWithStore(s3);
export const storeMiddleware: MakeStoreMiddleware = /* @__PURE__ */ storeMiddlewareOver(s3);
export const createCompactor: CreateCompactor = /* @__PURE__ */ makeCreateCompactor(s3);
