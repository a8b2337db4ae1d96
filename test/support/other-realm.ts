/** The package evaluated in a context of its own, as Jest and vitest's vm pools do with it. */
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { createContext, runInContext } from "node:vm";
import { build } from "esbuild";

/** Of Node's globals, what the package uses; every intrinsic (Error, Promise, Uint8Array) is the context's. */
const GIVEN = {
  process,
  Buffer,
  console,
  performance,
  queueMicrotask,
  setTimeout,
  clearTimeout,
  setImmediate,
  AbortController,
  AbortSignal,
  URL,
  URLSearchParams,
  TextDecoder,
  TextEncoder,
};

/** @param modules exported together, relative to `src` */
export async function inOtherRealm<T>(modules: readonly string[]): Promise<T> {
  const contents = modules.map((module) => `export * from "./${module}";`).join("\n");
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: resolve("src"), loader: "ts" },
    bundle: true,
    write: false,
    platform: "node",
    format: "cjs",
    target: "node20",
    logLevel: "warning",
  });
  const context = createContext({ ...GIVEN });
  const module = { exports: {} };
  const code = `(function (module, exports, require) {${outputFiles[0]?.text ?? ""}\n})`;
  runInContext(code, context)(module, module.exports, createRequire(import.meta.url));
  return module.exports as T;
}
