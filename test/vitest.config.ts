import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { S3_SUITES_GLOB, S3SuitesNotice } from "./support/s3-suites.ts";

/** These start processes by the dozen: alone, so that no other suite runs into its time limit. */
const PROCESS_SUITES = "test/{processes,budgets,torture}/**/*.test.ts";

/** OPSLOG_TEST_REPORT names a file for the results as JSON, as `.ci/run` counts them. */
const { OPSLOG_TEST_S3_ENDPOINT: endpoint, OPSLOG_TEST_REPORT: report } = process.env;
const notRun = endpoint ? [] : [S3_SUITES_GLOB];

const source = (path: string): string => fileURLToPath(new URL(`../src/${path}`, import.meta.url));
const jsonReporters: ["json", { outputFile: string }][] = report
  ? [["json", { outputFile: report }]]
  : [];

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  resolve: {
    // As `paths` in tsconfig.json: tests run on the sources, not on what was built last.
    alias: [
      { find: /^opslog-serverless$/, replacement: source("index.ts") },
      { find: /^opslog-serverless\/([\w/]+)$/, replacement: source("$1/index.ts") },
    ],
  },
  test: {
    pool: "forks",
    // The test files of a process share its modules: each is loaded once, not once per file.
    isolate: false,
    // Without a number, vitest leaves one processor without work.
    maxWorkers: availableParallelism(),
    globals: false,
    unstubEnvs: true,
    restoreMocks: true,
    globalSetup: ["test/support/run-directory.ts"],
    setupFiles: ["test/support/no-unhandled.ts"],
    // No test takes a tenth of it where nothing else runs, or the test states its own.
    testTimeout: 40_000,
    hookTimeout: 40_000,
    teardownTimeout: 5_000,
    reporters: ["default", new S3SuitesNotice(endpoint), ...jsonReporters],
    projects: [
      {
        extends: true,
        test: {
          name: "suites",
          include: ["test/**/*.test.ts"],
          exclude: [PROCESS_SUITES, ...notRun],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "processes",
          include: [PROCESS_SUITES],
          exclude: notRun,
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
