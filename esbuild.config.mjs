/**
 * Bundles the functions: one file each for Lambda, and the local server. `node esbuild.config.mjs
 * [OUTDIR]`, default dist/functions.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { environmentCredentials, settings } from "./esbuild.settings.mjs";

const root = fileURLToPath(new URL(".", import.meta.url));
const outdir = process.argv[2] ?? `${root}dist/functions`;

const lambda = { ...settings, absWorkingDir: root, outdir, metafile: true };
// A developer's machine has profiles, and may sign in through SSO.
const plugins = settings.plugins.filter((plugin) => plugin !== environmentCredentials);
const built = await Promise.all([
  build({ ...lambda, entryPoints: ["functions/records.ts", "functions/compact.ts"] }),
  build({ ...lambda, entryPoints: ["functions/local.ts"], plugins }),
]);

const kB = (bytes) => `${(bytes / 1_000).toFixed(0)} kB`;
const outputs = built.flatMap(({ metafile }) => Object.keys(metafile.outputs));
for (const name of outputs.filter((output) => output.endsWith(".mjs"))) {
  const code = await readFile(`${root}${name}`);
  console.log(`${name}  ${kB(code.length)}, ${kB(gzipSync(code).length)} gzipped`);
}
