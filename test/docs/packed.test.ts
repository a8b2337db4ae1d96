/** What npm shows: the README is short, and packed documents link only to files of the package. */
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { projectDirectory } from "../functions/support.ts";
import { linksOf, readDocuments } from "./snippets.ts";

const README_LINES_MAX = 130;

const documents = readDocuments();
const packed = packedFiles();

/** Without the built files, which need not be there: no document links to them. */
function packedFiles(): ReadonlySet<string> {
  const args = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const [{ files }] = JSON.parse(
    execFileSync("npm", args, { cwd: projectDirectory, encoding: "utf8" }),
  );
  return new Set(files.map(({ path }: { path: string }) => path));
}

test("the README has at most 130 lines", () => {
  const readme = documents.find(({ path }) => path === "README.md")?.text ?? "";
  expect(readme.trimEnd().split("\n").length).toBeLessThanOrEqual(README_LINES_MAX);
});

test("all of docs/ and the documents at the top are packed", () => {
  const expected = documents
    .map(({ path }) => path)
    .filter((path) => ["docs", "."].includes(dirname(path)));
  expect(expected.length).toBeGreaterThan(20);
  expect(expected.filter((path) => !packed.has(path))).toEqual([]);
});

test.each(
  documents.filter(({ path }) => packed.has(path)).map((document) => [document.path, document]),
)("%s links only to packed files", (_, document) => {
  if (typeof document === "string") throw new Error("no document");
  const targets = linksOf(document)
    .filter(({ target }) => target !== "")
    .map(({ target }) => join(dirname(document.path), target));
  expect(targets.filter((target) => !packed.has(target))).toEqual([]);
});
