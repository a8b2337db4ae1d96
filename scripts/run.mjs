/**
 * Bundles a program of this project and runs it: `node scripts/run.mjs [--with MODULE]… ENTRY [args]`.
 * `--with` names modules that the program starts in processes or threads of their own.
 */
import { rmSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, stop } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

/** @param {string[]} args */
function parse(args) {
  const others = [];
  let rest = args;
  for (; rest[0] === "--with"; rest = rest.slice(2)) others.push(rest[1]);
  const [entry, ...own] = rest;
  if (entry === undefined || others.includes(undefined)) {
    throw new Error("usage: node scripts/run.mjs [--with MODULE]… ENTRY [args]");
  }
  return { entry, others, own };
}

const { entry, others, own } = parse(process.argv.slice(2));
const name = entry.replace(/\.ts$/, "").replaceAll(/\W+/g, "-");
// Below node_modules, so that the program finds its packages from there.
const outdir = join(root, "node_modules/.cache/run", name);
rmSync(outdir, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: [entry, ...others],
  outbase: join(root, dirname(entry)),
  outdir,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  splitting: true,
  platform: "node",
  format: "esm",
  target: "node20",
  packages: "external",
  sourcemap: "linked",
  logLevel: "warning",
});
await stop();

process.setSourceMapsEnabled(true);
const program = resolve(outdir, basename(entry).replace(/\.ts$/, ".mjs"));
process.argv = [process.execPath, program, ...own];
await import(pathToFileURL(program).href);
