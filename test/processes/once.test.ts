import { describe } from "vitest";
import { directoryMedium } from "./directory.ts";
import { onceSuite } from "./once-suite.ts";

describe("on a directory", () => onceSuite(directoryMedium));
