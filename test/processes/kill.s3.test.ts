import { describe } from "vitest";
import { repeat } from "../support/effort.ts";
import { bucketMedium } from "./bucket.ts";
import { killSuite } from "./kill-suite.ts";

describe("on S3", () => {
  killSuite({ openMedium: bucketMedium, mayLandLate: true, kills: repeat({ quick: 7, full: 25 }) });
});
