import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, test } from "vitest";
import { backendSuite } from "../../src/testing/index.ts";
import { LightS3Backend } from "../../src/s3/light/index.ts";
import { liveS3Bucket, requireEndpoint } from "../support/live-s3.ts";
import type { LiveBucket } from "../support/live-s3.ts";
import { CLIENTS } from "./support.ts";

describe.each(CLIENTS)("on a live server with the %s client", (client) => {
  let live: LiveBucket;
  beforeAll(async () => {
    live = await liveS3Bucket();
  });
  afterAll(() => live[Symbol.asyncDispose]());

  backendSuite({
    test,
    factory: async () => {
      // A prefix of its own instead of a bucket, which takes a server seconds to make.
      const location = live.location(`suite/${randomBytes(8).toString("hex")}`);
      const open = async () => {
        const endpoint = requireEndpoint();
        const backend = client === "SDK" ? live.backend() : new LightS3Backend({ endpoint });
        await backend.initialize(location, { readOnly: false });
        return backend;
      };
      const backend = await open();
      return {
        backend,
        location,
        reopen: open,
        [Symbol.asyncDispose]: () => backend.shutdown(),
      };
    },
  });
});
