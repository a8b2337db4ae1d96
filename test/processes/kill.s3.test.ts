import { describe } from "vitest";
import { bucketMedium } from "./bucket.ts";
import { killSuite } from "./kill-suite.ts";

describe("on S3", () => {
  killSuite({ openMedium: bucketMedium, mayLandLate: true, kills: 25 });
});
