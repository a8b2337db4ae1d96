import { describe } from "vitest";
import { bucketMedium } from "../processes/bucket.ts";
import { dice } from "../processes/random.ts";
import { bundleWorkers } from "../processes/worker-program.ts";
import type { WorkerProgram } from "../processes/worker-program.ts";
import { recordingProxy, requireEndpoint } from "../support/live-s3.ts";
import { contentionSuite } from "./contention-suite.ts";
import { disturb } from "./disturb.ts";

describe("on S3", () => contentionSuite(bucketMedium, behindProxy));

async function behindProxy(seed: number): Promise<WorkerProgram> {
  const proxy = await recordingProxy(requireEndpoint());
  disturb(proxy, dice(seed));
  const program = await bundleWorkers({ env: { OPSLOG_TEST_S3_ENDPOINT: proxy.endpoint } });
  return {
    ...program,
    [Symbol.asyncDispose]: async () => {
      await program[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}
