/**
 * Bundles the functions: one file each for Lambda, and the local server. `node esbuild.config.mjs
 * [OUTDIR]`, default dist/functions.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { settings } from "./esbuild.settings.mjs";

const root = fileURLToPath(new URL(".", import.meta.url));
const outdir = process.argv[2] ?? `${root}dist/functions`;

const { metafile } = await build({
  ...settings,
  absWorkingDir: root,
  entryPoints: ["functions/records.ts", "functions/compact.ts", "functions/local.ts"],
  outdir,
  metafile: true,
});

const kB = (bytes) => `${(bytes / 1_000).toFixed(0)} kB`;
for (const name of Object.keys(metafile.outputs).filter((output) => output.endsWith(".mjs"))) {
  const code = await readFile(`${root}${name}`);
  console.log(`${name}  ${kB(code.length)}, ${kB(gzipSync(code).length)} gzipped`);
}
