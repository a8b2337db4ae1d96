import { describe } from "vitest";
import { directoryMedium } from "../processes/directory.ts";
import { contentionSuite } from "./contention-suite.ts";

describe("on a directory", () => contentionSuite(directoryMedium));
