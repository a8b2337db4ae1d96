import { describe } from "vitest";
import { bucketMedium } from "./bucket.ts";
import { crowdSuite } from "./crowd-suite.ts";

describe("on S3", () => crowdSuite(bucketMedium));
