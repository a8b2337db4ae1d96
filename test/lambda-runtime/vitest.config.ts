/**
 * The bundled functions under AWS's own runtime client: `npm run test:lambda`. Apart from the other
 * suites, because the client has to be compiled first.
 */
import { defineConfig } from "vitest/config";
import base from "../vitest.config.ts";

if (!process.env["OPSLOG_TEST_S3_ENDPOINT"]) {
  throw new Error("npm run test:lambda needs an S3 server: set OPSLOG_TEST_S3_ENDPOINT (README)");
}

const { projects: _projects, ...test } = base.test ?? {};
export default defineConfig({
  ...base,
  test: {
    ...test,
    include: ["test/lambda-runtime/*.suite.ts"],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 60_000,
  },
});
