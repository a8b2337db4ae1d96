import { describe } from "vitest";
import { directoryMedium } from "../processes/directory.ts";
import { etagSuite } from "./etag-suite.ts";

describe("on a directory", () => etagSuite(directoryMedium, () => ({})));
