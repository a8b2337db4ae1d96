/**
 * Which suites need an S3 server: files whose name ends in `.s3.test.ts`, nothing else. Without
 * OPSLOG_TEST_S3_ENDPOINT they are left out, and the run says so at its end.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Reporter, Vitest } from "vitest/node";
import { EFFORT } from "./effort.ts";

export const S3_SUITES_GLOB = "test/**/*.s3.test.ts";

const HOW_TO_RUN = [
  "bash test/support/ceph-rgw.sh install && export $(bash test/support/ceph-rgw.sh start)",
  "npm run test:s3",
  "bash test/support/ceph-rgw.sh stop",
];

/** Test files below `root`/test whose names end in `suffix`, relative to `root`. */
export function testFiles(root: string, suffix = ".test.ts"): string[] {
  const names = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" });
  return names.flatMap((name) => (name.endsWith(suffix) ? [join("test", name)] : [])).toSorted();
}

/** Names the Node version and the effort at the start of a run, and what did not run at its end. */
export class S3SuitesNotice implements Reporter {
  readonly #endpoint: string | undefined;
  #vitest: Vitest | undefined;

  constructor(endpoint: string | undefined) {
    this.#endpoint = endpoint;
  }

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
    const server = this.#endpoint ? `S3 server ${this.#endpoint}` : "no S3 server";
    vitest.logger.log(` Node ${process.version}, ${server}, ${EFFORT} effort`);
  }

  onTestRunEnd(): void {
    if (this.#endpoint || this.#vitest === undefined) return;
    const { logger, config } = this.#vitest;
    const files = testFiles(config.root, ".s3.test.ts");
    logger.log(
      [
        `Not run: ${files.length} S3 suites (no OPSLOG_TEST_S3_ENDPOINT):`,
        ...files.map((file) => `  ${file}`),
        "To run them on a server of your own, on Debian or Ubuntu:",
        ...HOW_TO_RUN.map((line) => `  ${line}`),
        "",
      ].join("\n"),
    );
  }
}
