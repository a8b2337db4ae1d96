import { describe } from "vitest";
import { crowdSuite } from "./crowd-suite.ts";
import { directoryMedium } from "./directory.ts";

describe("on a directory", () => crowdSuite(directoryMedium));
