/**
 * `opslog-serverless/lambda/light`: the same without the AWS SDK, for fast starts. As for
 * `LightS3Backend`, credentials come from the environment, as Lambda sets them.
 */
import { type CreateCompactor, makeCreateCompactor } from "../compactor.ts";
import { lightAccess } from "./light-access.ts";
import { type MakeStoreMiddleware, storeMiddlewareOver } from "../store-middleware.ts";
import { type WithStore, makeWithStore } from "../with-store.ts";

export type * from "../types.ts";

const s3 = /* @__PURE__ */ lightAccess();
export const withStore: WithStore = /* @__PURE__ */ makeWithStore(s3);
export const storeMiddleware: MakeStoreMiddleware = /* @__PURE__ */ storeMiddlewareOver(s3);
export const createCompactor: CreateCompactor = /* @__PURE__ */ makeCreateCompactor(s3);
