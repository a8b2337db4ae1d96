import { describe } from "vitest";
import { bucketMedium } from "./bucket.ts";
import { onceSuite } from "./once-suite.ts";

describe("on S3", () => onceSuite(bucketMedium));
