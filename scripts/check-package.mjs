/**
 * Checks the package as it is published, with publint and attw: `npm run check:package`. Builds it
 * first. Every entry point must resolve, with types, from ES modules and from CommonJS.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Of the packed file, in bytes. */
const PACKED_MAX = 497_000;

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = (path) => join(root, "node_modules", path);

function run(command, args) {
  execFileSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
}

run(process.execPath, ["scripts/build-package.mjs"]);
const directory = mkdtempSync(join(tmpdir(), "opslog-pack-"));
try {
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", directory];
  const [packed] = JSON.parse(execFileSync("npm", args, { cwd: root, encoding: "utf8" }));
  const tarball = join(directory, packed.filename);
  console.log(`${packed.filename}: ${packed.size} bytes, ${packed.entryCount} files`);
  if (packed.size >= PACKED_MAX) throw new Error(`more than ${PACKED_MAX} bytes packed`);
  run(process.execPath, [bin("publint/src/cli.js"), tarball, "--strict"]);
  // Without the resolution of TypeScript before 4.7, which knows no `exports`.
  const attw = bin("@arethetypeswrong/cli/dist/index.js");
  run(process.execPath, [attw, tarball, "--profile", "node16"]);
} finally {
  rmSync(directory, { recursive: true });
}
