import { describe } from "vitest";
import { directoryMedium } from "./directory.ts";
import { killSuite } from "./kill-suite.ts";

describe("on a directory", () => {
  killSuite({ openMedium: directoryMedium, mayLandLate: false, kills: 40 });
});

describe("on a directory without fsync", () => {
  killSuite({ openMedium: directoryMedium, mayLandLate: false, kills: 30, fsync: false });
});
