/** docs/options.md and the protocol name every option. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DEFAULT_SETTINGS } from "../../src/core/settings.ts";
import { OPTIONS } from "../../src/session/options.ts";
import { projectDirectory } from "../functions/support.ts";

/** What stands in the first column of a document's tables. */
function rowsOf(document: string): string[] {
  const text = readFileSync(join(projectDirectory, "docs", document), "utf8");
  const cells = text.split("\n").map((line) => /^\| (`[^|]+) \|/.exec(line)?.[1] ?? "");
  return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name));
}

test.each(Object.keys(OPTIONS))("docs/options.md has a row for %s", (name) => {
  expect(rowsOf("options.md")).toContain(name);
});

test.each(Object.keys(DEFAULT_SETTINGS))("the protocol has a row for %s", (name) => {
  expect(rowsOf("PROTOCOL.md")).toContain(name);
});
