/** The tests over sources with one mutant in them: the one that OPSLOG_MUTANT names. */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { applyEdits } from "./mutant.ts";
import { MUTANTS } from "./mutants.ts";

const root = new URL("../../../", import.meta.url);
const name = process.env["OPSLOG_MUTANT"];
const mutant = MUTANTS.find((candidate) => candidate.name === name);
if (mutant === undefined) throw new Error(`OPSLOG_MUTANT: no mutant is called ${name}`);
const files = new Map(
  mutant.edits.map(({ file }) => [fileURLToPath(new URL(`src/${file}`, root)), file]),
);

export default defineConfig({
  root: fileURLToPath(root),
  plugins: [
    {
      name: "mutation",
      enforce: "pre",
      transform(code, id) {
        const file = files.get(id);
        return file === undefined ? undefined : { code: applyEdits(file, code, mutant), map: null };
      },
    },
  ],
  test: {
    pool: "forks",
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/run-directory.ts"],
    setupFiles: ["test/support/no-unhandled.ts"],
    testTimeout: 20_000,
  },
});
