/**
 * `opslog-serverless/esbuild`: how functions are bundled for Lambda, by esbuild.config.mjs, in the
 * tests, in the benchmark, and by users who need their cold start.
 *
 *     await build({ ...settings, entryPoints: ["functions/tasks.ts"], outdir: "dist" });
 */
import { builtinModules } from "node:module";
import { dirname } from "node:path";

/** What node:http has of undici, for those that import all of it. */
const UNDICI = new Set(["WebSocket", "CloseEvent", "MessageEvent"]);

/**
 * An import of a builtin module reads all it exports, and that loads much of Node for unused
 * exports: with node:http all of undici from Node 22 on, 25-50 ms of a cold start; with the others
 * 5-10 ms. Asking the process for the module does not.
 */
export const lazyBuiltins = {
  name: "lazy-builtins",
  setup({ onResolve, onLoad }) {
    const names = builtinModules.filter((name) => !name.startsWith("_")).join("|");
    onResolve({ filter: new RegExp(`^(node:)?(${names})$`) }, ({ path, kind }) => ({
      path: path.replace(/^(node:)?/, "node:"),
      namespace: kind === "require-call" ? "required-builtin" : "imported-builtin",
    }));
    const get = (path) => `process.getBuiltinModule("${path}")`;
    onLoad({ filter: /.*/, namespace: "required-builtin" }, ({ path }) => ({
      contents: `module.exports = ${get(path)};`,
    }));
    onLoad({ filter: /.*/, namespace: "imported-builtin" }, ({ path }) => {
      const exported = Object.keys(process.getBuiltinModule(path)).filter(
        (name) => name !== "default" && !UNDICI.has(name),
      );
      // Calls without effects: those whose names are not imported are removed.
      const lines = exported.map((name) => `export const ${name} = /* @__PURE__ */ of("${name}");`);
      const head = [`const builtin = ${get(path)};`, "const of = (name) => builtin[name];"];
      return { contents: [...head, "export default builtin;", ...lines].join("\n") };
    });
  },
};

/**
 * On Lambda credentials come from the environment. The SDK looks in many more places, among them
 * SSO, profiles and web identities with clients of their own: a fifth of its code.
 */
export const environmentCredentials = {
  name: "environment-credentials",
  setup({ onResolve, onLoad, resolve }) {
    onResolve({ filter: /^@aws-sdk\/credential-provider-node$/ }, async ({ kind, importer }) => {
      const from = { kind, importer, resolveDir: dirname(importer) };
      const { path } = await resolve("@aws-sdk/credential-provider-env", from);
      return { path, namespace: "environment-credentials" };
    });
    onLoad({ filter: /.*/, namespace: "environment-credentials" }, ({ path }) => ({
      contents: `export { fromEnv as defaultProvider } from ${JSON.stringify(path)};`,
      resolveDir: dirname(path),
    }));
  },
};

/**
 * A banner that defines `require` in the ES modules which esbuild writes. Without it the AWS SDK's
 * CommonJS files end in: Dynamic require of "node:https" is not supported.
 */
export const requireBanner =
  'const require = process.getBuiltinModule("node:module").createRequire(import.meta.url);';

export const settings = {
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  // The ES modules of the AWS SDK: unlike its CommonJS files, what is not used falls away.
  mainFields: ["module", "main"],
  minify: true,
  sourcemap: "linked",
  legalComments: "none",
  banner: { js: requireBanner },
  plugins: [lazyBuiltins, environmentCredentials],
  logLevel: "warning",
};
