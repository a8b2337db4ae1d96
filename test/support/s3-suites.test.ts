import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { testFiles } from "./s3-suites.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const LIVE_S3 = "test/support/live-s3.ts";
const IMPORT = /^(?:import|export)( type)?\b[^;"]*"(\.[^"]+\.ts)";/gm;

/** Files that a file loads, itself included; types are not loaded. */
function loadedBy(path: string, loaded: Set<string> = new Set()): ReadonlySet<string> {
  if (loaded.has(path)) return loaded;
  loaded.add(path);
  const source = readFileSync(join(ROOT, path), "utf8");
  for (const [, isType, from = ""] of source.matchAll(IMPORT)) {
    if (isType === undefined) loadedBy(join(dirname(path), from), loaded);
  }
  return loaded;
}

test("a suite works on the live server when its name says so, and only then", () => {
  const live = testFiles(ROOT).filter((path) => loadedBy(path).has(LIVE_S3));
  expect(live).toEqual(testFiles(ROOT, ".s3.test.ts"));
  expect(live).not.toEqual([]);
});

test("no suite on the live server passes over tests by itself", () => {
  const silent = testFiles(ROOT, ".s3.test.ts").filter((path) =>
    /\b(?:skip|skipIf|runIf|todo)\b/.test(readFileSync(join(ROOT, path), "utf8")),
  );
  expect(silent).toEqual([]);
});
