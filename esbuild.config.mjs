/**
 * Bundles the functions: one file each for Lambda, and the local server. `node esbuild.config.mjs
 * [OUTDIR]`, default dist/functions.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = fileURLToPath(new URL(".", import.meta.url));
const outdir = process.argv[2] ?? `${root}dist/functions`;

/**
 * From Node 22 on, a static import of node:http or node:https loads undici (25-50 ms of a cold
 * start) for exports nobody asks for. Asking the process for the module does not.
 */
const lazyHttp = {
  name: "lazy-http",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?https?$/ }, ({ path }) => ({
      path: path.replace(/^(node:)?/, "node:"),
      namespace: "lazy-http",
    }));
    onLoad({ filter: /.*/, namespace: "lazy-http" }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule("${path}");`,
    }));
  },
};

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ["functions/records.ts", "functions/compact.ts", "functions/local.ts"],
  outdir,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  // The ES modules of the AWS SDK: unlike its CommonJS files, what is not used falls away.
  mainFields: ["module", "main"],
  minify: true,
  // Logs and error answers name errors by their class.
  keepNames: true,
  sourcemap: "linked",
  legalComments: "none",
  // The SDK asks for an optional package of its own by `require`, which ES modules lack.
  banner: {
    js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
  },
  plugins: [lazyHttp],
  metafile: true,
  logLevel: "warning",
});

const kB = (bytes) => `${(bytes / 1_000).toFixed(0)} kB`;
for (const name of Object.keys(metafile.outputs).filter((output) => output.endsWith(".mjs"))) {
  const code = await readFile(`${root}${name}`);
  console.log(`${name}  ${kB(code.length)}, ${kB(gzipSync(code).length)} gzipped`);
}
