/** Rollup and webpack as a project sets them up; in JavaScript, as their settings mostly are. */
import { promisify } from "node:util";
import commonjs from "@rollup/plugin-commonjs";
import json from "@rollup/plugin-json";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import { rollup } from "rollup";
import webpack from "webpack";

/** Bundles `input` into each file, in its format; what rollup warned of, by code. */
export async function bundleWithRollup(input, files) {
  const warnings = [];
  const bundled = await rollup({
    input,
    plugins: [nodeResolve({ preferBuiltins: true }), commonjs(), json()],
    onwarn: ({ code }) => warnings.push(code),
  });
  for (const { file, format } of files) {
    await bundled.write({ file, format, inlineDynamicImports: true });
  }
  await bundled.close();
  return warnings;
}

/** Bundles `./entry` of a directory; webpack's errors and warnings. */
export async function bundleWithWebpack({ context, entry, output, esModules }) {
  const library = esModules
    ? { library: { type: "module" }, module: true }
    : { library: { type: "commonjs2" } };
  const compiler = webpack({
    mode: "production",
    target: "node20",
    context,
    entry,
    output: { ...output, ...library },
    experiments: { outputModule: esModules },
    // Half of the time, and nothing to do with what the bundle holds.
    optimization: { minimize: false },
  });
  const stats = await promisify(compiler.run.bind(compiler))();
  const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true });
  return [...errors, ...warnings].map(({ message }) => message);
}
