/** `opslog-serverless/testing`: the conformance suite for implementors of a `StorageBackend`. */
export { backendSuite } from "./backend-suite.ts";
export type { BackendSuiteOptions, BackendUnderTest } from "./backend-suite.ts";
