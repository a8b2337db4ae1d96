import { describe } from "vitest";
import { repeat } from "../support/effort.ts";
import { directoryMedium } from "./directory.ts";
import { killSuite } from "./kill-suite.ts";

describe("on a directory", () => {
  killSuite({
    openMedium: directoryMedium,
    mayLandLate: false,
    kills: repeat({ quick: 14, full: 40 }),
  });
});

describe("on a directory without fsync", () => {
  killSuite({
    openMedium: directoryMedium,
    mayLandLate: false,
    kills: repeat({ quick: 7, full: 30 }),
    fsync: false,
  });
});
