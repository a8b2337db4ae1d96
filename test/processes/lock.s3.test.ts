import { describe } from "vitest";
import { bucketMedium } from "./bucket.ts";
import { lockSuite } from "./lock-suite.ts";

describe("on S3", () => {
  lockSuite({ openMedium: bucketMedium, endsWithProcess: false });
});
