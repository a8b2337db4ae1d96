/**
 * Builds what is published: `node scripts/build-package.mjs [OUTDIR]`, default dist. Each entry point
 * becomes an ES module and, in cjs/, a CommonJS module, over chunks that the entry points share.
 * Names inside the chunks are short: both builds, with declarations and sources, are below 430 kB.
 * At the top of an ES module they begin with "$": what a bundler puts in front of a bundle (a banner
 * that declares `cr` or `require`) is unknown to it, and must not meet a name of ours.
 */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";
import { rollup } from "rollup";
import { minify } from "terser";
import { declare } from "./declarations.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const outdir = resolve(process.argv[2] ?? join(root, "dist"));
const commonJs = join(outdir, "cjs");

/** Modules by the path of the built file, without its ending. */
const ENTRIES = {
  index: "src/index.ts",
  "s3/index": "src/s3/index.ts",
  "s3/light/index": "src/s3/light/index.ts",
  "lambda/index": "src/lambda/index.ts",
  "lambda/light/index": "src/lambda/light/index.ts",
  "powertools/index": "src/powertools/index.ts",
  "testing/index": "src/testing/index.ts",
  "cdk/index": "infra/index.ts",
  "esbuild/index": "esbuild.settings.mjs",
};
/** The function that the CDK construct deploys, out of the same chunks. */
const COMPACTOR = { compact: "functions/compact.ts" };

/** The package imported by its name. The compactor needs no AWS SDK. */
const OWN_NAMES = {
  "opslog-serverless": "src/index.ts",
  "opslog-serverless/lambda": "src/lambda/light/index.ts",
};

/** Modules of Node that cost milliseconds, and of which the package calls functions only. */
const LAZY = /^node:(crypto|fs\/promises|net|os|zlib)$/;
const LAZY_PREFIX = "\0lazy:";

const sources = {
  name: "sources",
  resolveId(id) {
    if (LAZY.test(id)) return `${LAZY_PREFIX}${id}`;
    return Object.hasOwn(OWN_NAMES, id) ? join(root, OWN_NAMES[id]) : null;
  },
  load(id) {
    return id.startsWith(LAZY_PREFIX) ? lazyModule(id.slice(LAZY_PREFIX.length)) : null;
  },
  async transform(code, id) {
    if (!id.endsWith(".ts")) return null;
    const options = { loader: "ts", format: "esm", target: "node20" };
    return { code: (await transform(code, options)).code, map: null };
  },
};

/** A module with the functions of a module of Node, which the first call loads. */
function lazyModule(name) {
  const functions = Object.entries(process.getBuiltinModule(name))
    .filter(([, value]) => typeof value === "function")
    .map(([key]) => `export const ${key} = (...args) => load().${key}(...args);`);
  const head = [
    "let loaded;",
    `const load = () => (loaded ??= process.getBuiltinModule("${name}"));`,
  ];
  return [...head, ...functions].join("\n");
}

/** In one line of everything a debugger and a stack trace show nothing. */
const LINE_LENGTH = 500;

const minified = {
  name: "minified",
  async renderChunk(code, chunk, { format }) {
    const options = { minify: true, legalComments: "none", target: "node20" };
    // The names at the top of a module become short, too, once they are inside a function.
    const body = format === "cjs" ? `(() => {${code}\n})();` : withoutBuiltinImports(code);
    const { code: short } = await transform(body, options);
    return { code: await rename(short, format), map: null };
  },
};

const BUILTIN_IMPORT = /^import (.+) from '(node:[a-z/_]+)';$/gm;

/**
 * Builtin modules that Node has loaded already, without `import`: for that, Node would make a module
 * of everything that they export, which takes 3 ms for all of ours.
 */
function withoutBuiltinImports(code) {
  return code.replace(BUILTIN_IMPORT, (_, names, module) => {
    const target = names.replace(/^\* as /, "").replaceAll(" as ", ": ");
    return `const ${target} = process.getBuiltinModule("${module}");`;
  });
}

/**
 * Shortens what esbuild leaves, and gives every name that a module declares a short one: "$" begins those at the top of an ES module,
 * and a second pass takes it away from all others.
 */
async function rename(code, format) {
  // A function that is moved to its only call would be made again by each call.
  const compress = { ecma: 2020, inline: false, passes: 2, reduce_funcs: false };
  if (format === "cjs") return mangle(code, { compress, mangle: true });
  const nth_identifier = { get: prefixedName };
  const prefixed = await mangle(code, { compress, mangle: { nth_identifier }, module: true });
  return mangle(prefixed, { mangle: true });
}

async function mangle(code, options) {
  const format = { max_line_len: LINE_LENGTH };
  return (await minify(code, { compress: false, ecma: 2020, format, ...options })).code;
}

const LETTERS = "etnraiscoludpmhgfbwyvkxjqzETNRAISCOLUDPMHGFBWYVKXJQZ";

/** "$e" for 0, "$t" for 1, and so on: the letters that code uses most come first. */
function prefixedName(index) {
  let name = "";
  for (let rest = index + 1; rest > 0; rest = Math.floor((rest - 1) / LETTERS.length)) {
    name = LETTERS[(rest - 1) % LETTERS.length] + name;
  }
  return `$${name}`;
}

/** What every entry point needs is one chunk: each file costs a fraction of a millisecond. */
const SHARED = /\/src\/(?:core|format)\/|\/src\/storage\/[^/]+\.ts$/;

async function bundle() {
  const entries = Object.entries({ ...ENTRIES, ...COMPACTOR });
  const built = await rollup({
    input: Object.fromEntries(entries.map(([name, path]) => [name, join(root, path)])),
    plugins: [sources],
    external: (id) => !/^[./\0]/.test(id) && !LAZY.test(id) && !Object.hasOwn(OWN_NAMES, id),
    treeshake: { moduleSideEffects: false },
    onwarn({ message }) {
      throw new Error(message);
    },
  });
  const output = {
    manualChunks: (id) => (SHARED.test(id) ? "shared" : undefined),
    entryFileNames: "[name].js",
    chunkFileNames: "chunks/[name].js",
    hoistTransitiveImports: false,
    minifyInternalExports: true,
    generatedCode: "es2015",
    plugins: [minified],
  };
  await built.write({ ...output, dir: outdir, format: "es" });
  // Jest and Lambda can import nothing dynamically there.
  const forRequire = { format: "cjs", dynamicImportInCjs: false, interop: "auto" };
  await built.write({ ...output, dir: commonJs, ...forRequire });
  await built.close();
  // It is deployed as CommonJS, which needs no package.json where it runs.
  await rm(join(outdir, "compact.js"));
  await writeFile(join(commonJs, "package.json"), '{ "type": "commonjs" }\n');
}

await rm(outdir, { recursive: true, force: true });
await mkdir(outdir, { recursive: true });
await Promise.all([bundle(), declare(root, outdir, commonJs, ENTRIES)]);
