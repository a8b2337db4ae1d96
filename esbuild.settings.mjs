/** How functions are bundled for Lambda: by esbuild.config.mjs, in the tests and in the benchmark. */

/**
 * From Node 22 on, a static import of node:http or node:https loads undici (25-50 ms of a cold
 * start) for exports nobody asks for. Asking the process for the module does not.
 */
export const lazyHttp = {
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

export const settings = {
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
  logLevel: "warning",
};
