/**
 * The declarations of the package: what the entry points reach, with the sources it was written in.
 * They are those of the CommonJS build, and the ES modules export the same ones.
 */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { keepReached } from "./reached-declarations.mjs";
import { thinMappings } from "./thin-map.mjs";

/**
 * Entry points whose classes extend those of a package that is declared twice, with private members: as an ES
 * module they must extend the declaration of the ES module.
 */
const EXTENDING = new Set(["powertools/index"]);

/** @param {Readonly<Record<string, string>>} entries modules by the path of the built file */
export async function declare(root, outdir, commonJs, entries) {
  const cache = join(root, "node_modules/.cache");
  await mkdir(cache, { recursive: true });
  // Inside the project, so that its packages are found from there.
  const emitted = await mkdtemp(join(cache, "declarations-"));
  try {
    await compile(root, emitted);
    const paths = Object.values(entries).map((path) => join(emitted, declarationOf(path)));
    for (const path of paths.filter((each) => each.endsWith(".d.mts"))) {
      await cp(join(root, relative(emitted, path)), path);
    }
    for (const { path, text, needsSource } of await keepReached(paths)) {
      await publish({ root, outdir, commonJs, emitted, path, text, needsSource });
    }
    for (const name of Object.keys(entries)) {
      await (EXTENDING.has(name) ? declareAnew : reExport)(outdir, commonJs, name);
    }
  } finally {
    await rm(emitted, { recursive: true });
  }
}

const declarationOf = (path) => path.replace(/\.(m?)[jt]s$/, ".d.$1ts");

async function compile(root, directory) {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const args = [tsc, "-p", join(root, "tsconfig.build.json"), "--outDir", directory];
  await promisify(execFile)(process.execPath, args).catch(({ stdout, message }) => {
    throw new Error(stdout || message);
  });
}

/** Writes a declaration; where asked, its map and the source that it leads to. */
async function publish({ root, outdir, commonJs, emitted, path, text, needsSource }) {
  const declaration = relative(emitted, path);
  const to = join(commonJs, publishedName(declaration));
  await mkdir(dirname(to), { recursive: true });
  await writeFile(to, needsSource ? text : text.replace(/\n*\/\/# sourceMappingURL=.*\s*$/, "\n"));
  if (!needsSource || path.endsWith(".d.mts")) return;
  const { version, mappings } = JSON.parse(await readFile(`${path}.map`, "utf8"));
  const source = declaration.replace(/\.d\.ts$/, ".ts");
  const packed = join(outdir, "src", source.replace(/^src\//, ""));
  await mkdir(dirname(packed), { recursive: true });
  await cp(join(root, source), packed);
  const sources = [relative(dirname(to), packed)];
  const map = { version, names: [], mappings: thinMappings(mappings, text), sources };
  await writeFile(`${to}.map`, JSON.stringify(map));
}

/**
 * The declaration of an entry point as an ES module: all that the CommonJS one declares. The other
 * way round is an error of TypeScript, because `require` cannot load ES modules.
 */
async function reExport(outdir, commonJs, name) {
  const to = join(outdir, `${name}.d.ts`);
  await mkdir(dirname(to), { recursive: true });
  const from = relative(dirname(to), join(commonJs, `${name}.js`));
  await writeFile(to, `export * from "${from.startsWith(".") ? from : `./${from}`}";\n`);
}

/** The same text, whose imports of this package lead to its declarations as CommonJS. */
async function declareAnew(outdir, commonJs, name) {
  const to = join(outdir, `${name}.d.ts`);
  await mkdir(dirname(to), { recursive: true });
  const text = await readFile(join(commonJs, `${name}.d.ts`), "utf8");
  const at = relative(dirname(to), dirname(join(commonJs, name)));
  const moved = text.replace(
    /(from |import\()"(\.[^"]+)"/g,
    (_, head, path) => `${head}"${join(at, path)}"`,
  );
  await writeFile(to, moved.replace(/\n*\/\/# sourceMappingURL=.*\s*$/, "\n"));
}

/** Beside the module that it declares. */
function publishedName(declaration) {
  if (declaration === "esbuild.settings.d.mts") return "esbuild/index.d.ts";
  return declaration.replace(/^src\//, "").replace(/^infra\//, "cdk/");
}
