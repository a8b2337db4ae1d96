/**
 * `opslog-serverless/cdk` as CommonJS, beside the built one: the tests that `cdk init` makes run
 * under Jest, which loads nothing else. `node infra/bundle-cjs.mjs [DIRECTORY]`, default dist/cdk.
 */
import { copyFile, mkdir, readdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const directory = process.argv[2] ?? `${root}dist/cdk`;
const outdir = `${directory}/cjs`;

await mkdir(outdir, { recursive: true });
await build({
  absWorkingDir: root,
  entryPoints: ["infra/index.ts"],
  outdir,
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  external: ["aws-cdk-lib", "constructs"],
  // The store itself is an ES module: what is used of it comes along.
  alias: { "opslog-serverless": "./src/index.ts" },
  // The function's code lies beside the other build.
  define: { "import.meta.url": "moduleUrl" },
  banner: {
    js: 'const moduleUrl = require("node:url").pathToFileURL(`${__dirname}/../index.js`).href;',
  },
  logLevel: "warning",
});
await writeFile(`${outdir}/package.json`, `${JSON.stringify({ type: "commonjs" })}\n`);
for (const name of await readdir(directory)) {
  if (name.endsWith(".d.ts")) await copyFile(`${directory}/${name}`, `${outdir}/${name}`);
}
