/** CONTRIBUTING.md says what runs where: of every folder of tests, and of what is left out. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { projectDirectory } from "../functions/support.ts";

const guide = readFileSync(join(projectDirectory, "CONTRIBUTING.md"), "utf8");
const section = guide.split("\n## ").find((text) => text.startsWith("What runs where\n")) ?? "";

test("the tables name every folder of tests, and only those", () => {
  const rows = section.split("\n").filter((line) => line.startsWith("| `"));
  const cells = rows.map((row) => row.split("|")[1] ?? "");
  const named = cells.flatMap((cell) => [...cell.matchAll(/`([\w-]+)`/g)].map(([, name]) => name));
  const entries = readdirSync(join(projectDirectory, "test"), { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  expect(new Set(named)).toEqual(new Set(folders));
});

test("every test that runs with full effort only is named", () => {
  const directory = join(projectDirectory, "test");
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" });
  const left = files.flatMap((file) => {
    if (!file.endsWith(".ts") || file === "docs/contributing.test.ts") return [];
    const text = readFileSync(join(directory, file), "utf8");
    return [...text.matchAll(/runIf\(EFFORT === "full"\)\(\s*"(?:and )?([^"]+)"/g)].map(
      ([, name = ""]) => ({ name, file: `test/${file}` }),
    );
  });
  expect(left).toHaveLength(1);
  for (const { name, file } of left) expect(section).toContain(`\`${name}\` (\`${file}\`)`);
});
