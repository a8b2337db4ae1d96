import { describe } from "vitest";
import { directoryMedium, memoryMedium } from "../store/media.ts";
import { readingCases } from "./cases/reading.ts";
import { raceCases } from "./cases/upgrade-races.ts";
import { upgradingCases } from "./cases/upgrading.ts";

describe.each([
  ["in memory", memoryMedium],
  ["on a directory", directoryMedium],
])("a store of the original %s", (_, makeMedium) => {
  describe("as it is", () => readingCases(makeMedium));
  describe("upgraded", () => upgradingCases(makeMedium));
  describe("upgraded under the eyes of others", () => raceCases(makeMedium));
});
