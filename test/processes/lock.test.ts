import { describe } from "vitest";
import { directoryMedium } from "./directory.ts";
import { lockSuite } from "./lock-suite.ts";

describe("on a directory", () => {
  lockSuite({ openMedium: directoryMedium, endsWithProcess: true });
});
