/** The packed package in an empty project: by import and require, with types, under Jest, on Lambda. */
import { execFile } from "node:child_process";
import { cp, mkdir, readFile, readdir, stat, symlink, writeFile } from "node:fs/promises";
import { SourceMap } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { promisify } from "node:util";
import { decode } from "@jridgewell/sourcemap-codec";
import ts from "typescript-js-api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectDirectory } from "../functions/support.ts";
import { npmPackage, projectWithPackage } from "../support/installed-package.ts";
import { tempDir } from "../support/temp-dir.ts";

const run = promisify(execFile);
const PACK_MS = 120_000;
/** Of the tarball. What comes to it later should not be hidden by what is there today. */
const PACKED_MAX = 497_000;

const ENTRIES = Object.keys(npmPackage.exports).map((name) => name.replace(".", npmPackage.name));

let home: Awaited<ReturnType<typeof tempDir>>;
let installed: string;
let tarball: string;

beforeAll(async () => {
  home = await tempDir();
  await using built = await projectWithPackage([]);
  for (const name of [
    "docs",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE",
  ]) {
    await cp(join(projectDirectory, name), join(built.installed, name), { recursive: true });
  }
  const packArgs = ["pack", "--json", "--ignore-scripts", "--pack-destination", home.path];
  const { stdout } = await run("npm", packArgs, { cwd: built.installed });
  tarball = join(home.path, JSON.parse(stdout)[0].filename);
  const modules = join(home.path, "node_modules");
  installed = join(modules, "opslog-serverless");
  await mkdir(installed, { recursive: true });
  await run("tar", ["-xzf", tarball, "--strip-components=1", "-C", installed]);
  for (const name of [
    "@aws-sdk",
    "@aws-lambda-powertools",
    "@aws",
    "@smithy",
    "@types",
    "aws-cdk-lib",
    "constructs",
    "esbuild",
  ]) {
    await symlink(join(projectDirectory, "node_modules", name), join(modules, name));
  }
}, PACK_MS);

afterAll(() => home[Symbol.asyncDispose]());

/** A project beside the packed package. */
async function project(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const directory = join(home.path, name);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  return directory;
}

async function node(
  cwd: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<string> {
  return (await run(process.execPath, args, { cwd, env: { PATH: process.env["PATH"], ...env } }))
    .stdout;
}

test("the tarball is small, without tests, bundles of functions and files twice", async () => {
  expect((await stat(tarball)).size).toBeLessThan(PACKED_MAX);
  const paths = await readdir(installed, { recursive: true });
  const unwanted = /functions|\.test\.|compact\.mjs|cdk\.out|docs\/api|node_modules|build-package/;
  expect(paths.filter((path) => unwanted.test(path))).toEqual([]);
});

test("every link of the README leads to a file that is packed", async () => {
  const text = await readFile(join(installed, "README.md"), "utf8");
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path = ""]) => path);
  expect(links.length).toBeGreaterThan(0);
  await Promise.all(links.map((path) => stat(join(installed, path))));
});

test("declaration maps lead to the sources in TypeScript", async () => {
  const dist = join(installed, "dist");
  const maps = (await readdir(dist, { recursive: true })).filter((path) =>
    path.endsWith(".d.ts.map"),
  );
  expect(maps).toContain("cjs/store/store.d.ts.map");
  for (const path of maps) {
    const map = JSON.parse(await readFile(join(dist, path), "utf8"));
    const source = resolve(dirname(join(dist, path)), map.sources[0]);
    expect(source).toMatch(/\.ts$/);
    await stat(source);
  }
  const path = join(dist, "cjs/store/store.d.ts");
  const declared = (await readFile(path, "utf8")).split("\n");
  const { mappings, sources } = JSON.parse(await readFile(`${path}.map`, "utf8"));
  const written = (await readFile(resolve(dirname(path), sources[0]), "utf8")).split("\n");
  const at = declared.findIndex((text) => text.includes("static open<"));
  const [, , line = -1] = decode(mappings)[at]?.[0] ?? [];
  expect(written[line]).toMatch(/static (async )?open</);
});

/** Where TypeScript finds Store, as the programs of both forms import it. */
async function declarationsOfStore(): Promise<string[]> {
  const source = 'import { Store } from "opslog-serverless";\nexport const found = Store;\n';
  const directory = await project("definition", { "a.mts": source, "a.cts": source });
  const paths = ["a.mts", "a.cts"].map((name) => join(directory, name));
  const { NodeNext: module } = ts.ModuleKind;
  const { NodeNext: moduleResolution } = ts.ModuleResolutionKind;
  const program = ts.createProgram(paths, { module, moduleResolution, skipLibCheck: true });
  const checker = program.getTypeChecker();
  return paths.map((path) => {
    const file = program.getSourceFile(path);
    const statement = file?.statements[0];
    if (statement === undefined || !ts.isImportDeclaration(statement)) throw new Error(path);
    const bindings = statement.importClause?.namedBindings;
    if (bindings === undefined || !ts.isNamedImports(bindings)) throw new Error(path);
    const symbol = checker.getSymbolAtLocation(bindings.elements[0]!.name);
    const declared = checker.getAliasedSymbol(symbol!).declarations?.[0];
    return relative(home.path, declared?.getSourceFile().fileName ?? "");
  });
}

test("both builds have the same types, out of one declaration", { timeout: PACK_MS }, async () => {
  const path = "node_modules/opslog-serverless/dist/cjs/store/store.d.ts";
  expect(await declarationsOfStore()).toEqual([path, path]);
});

test("a declaration map leads to the name that a line declares", async () => {
  const path = join(installed, "dist/cjs/store/store.d.ts");
  const declared = (await readFile(path, "utf8")).split("\n");
  const map = new SourceMap(JSON.parse(await readFile(`${path}.map`, "utf8")));
  const source = (await readFile(join(installed, "dist/src/store/store.ts"), "utf8")).split("\n");
  for (const name of ["class Store<", "static open<", "watch(", "compact(", "archive("]) {
    const line = declared.findIndex((text) => !text.includes("* ") && text.includes(name));
    const word = /\w+(?=[<(])/.exec(name)?.[0] ?? "";
    const column = (declared[line] ?? "").indexOf(word);
    const entry = map.findEntry(line, column);
    if (!("originalLine" in entry)) throw new Error(`${name} is not mapped`);
    const found = source[entry.originalLine]?.slice(entry.originalColumn);
    expect(found, name).toMatch(new RegExp(`^((async|static|get|override) )*${word}\\b`));
  }
});

test("every entry point has the same exports by import and by require", async () => {
  const directory = await project("exports", { "package.json": "{}" });
  const entries = ENTRIES.filter((name) => !name.endsWith(".json"));
  const program = (load: string): string => `
    const found = {};
    for (const name of ${JSON.stringify(entries)}) found[name] = Object.keys(${load}).toSorted();
    console.log(JSON.stringify(found));
  `;
  const exportsBy = async (type: string, load: string): Promise<Record<string, string[]>> => {
    const flags = ["--no-experimental-require-module", `--input-type=${type}`];
    return JSON.parse(await node(directory, [...flags, "--eval", program(load)]));
  };
  const imported = await exportsBy("module", "await import(name)");
  expect(await exportsBy("commonjs", "require(name)")).toEqual(imported);
  expect(imported["opslog-serverless"]).toContain("Store");
  expect(Object.values(imported).every((names) => names.length > 0)).toBe(true);
});

describe("types", () => {
  const source = `
    import { FsBackend, LockedError, Store, type StoreOptions } from "opslog-serverless";
    import { S3Backend } from "opslog-serverless/s3";
    import { LightS3Backend } from "opslog-serverless/s3/light";
    import { withStore } from "opslog-serverless/lambda";
    import { createCompactor } from "opslog-serverless/lambda/light";
    import { backendSuite } from "opslog-serverless/testing";
    import { makeIdempotent } from "@aws-lambda-powertools/idempotency";
    import { StorePersistenceLayer } from "opslog-serverless/powertools";
    interface Task { title: string }
    export const idempotent = (store: Store<Task>) =>
      makeIdempotent(async (_: Task) => 1, { persistenceStore: new StorePersistenceLayer({ store }) });
    export const options: StoreOptions<Task> = { backend: new FsBackend() };
    export async function title(location: string): Promise<string | undefined> {
      const store = await Store.open<Task>(location, options);
      try {
        return (await store.read("a"))?.title;
      } catch (error) {
        if (error instanceof LockedError) return error.code satisfies "LOCKED";
        throw error;
      }
    }
    export const backends = [new S3Backend(), new LightS3Backend()];
    export const compact = createCompactor({ location: "x" });
    export const handler = withStore<Task>({ location: "x" }, (_event, _context, store) => store.read("a"));
    export const suite = backendSuite;
    // @ts-expect-error: no such option
    export const wrong: StoreOptions<Task> = { backends: 1 };
  `;
  const settings = (module: string): string =>
    JSON.stringify({
      compilerOptions: {
        module,
        target: "es2023",
        lib: ["es2023", "esnext.disposable"],
        strict: true,
        noEmit: true,
        types: ["node"],
        skipLibCheck: false,
      },
      files: ["program.ts"],
    });
  test.each([
    ["TypeScript 7, CommonJS under node16", "typescript/bin/tsc", "node16", "commonjs"],
    ["TypeScript 7, ES modules under nodenext", "typescript/bin/tsc", "nodenext", "module"],
    ["TypeScript 5.9, CommonJS under node16", "typescript-js-api/bin/tsc", "node16", "commonjs"],
  ])("%s", { timeout: PACK_MS }, async (_, tsc, module, type) => {
    const directory = await project(`types-${tsc.slice(0, 12)}-${module}`.replaceAll("/", "-"), {
      "package.json": JSON.stringify({ type }),
      "tsconfig.json": settings(module),
      "program.ts": source,
    });
    const args = [join(projectDirectory, "node_modules", tsc), "-p", directory];
    const told = await node(directory, args).catch(({ stdout }) => stdout);
    expect(told).toBe("");
  });
});

test(
  "a test under Jest as it is writes and reads, and meets errors",
  { timeout: PACK_MS },
  async () => {
    const directory = await project("jest", {
      "package.json": "{}",
      "store.test.js": `
      const { Store, MemoryBackend, OpslogError, StoreNotFoundError, FsBackend } = require("opslog-serverless");
      const { S3Backend } = require("opslog-serverless/s3");
      Object.assign(process.env, { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" });
      test("writes and reads", async () => {
        for (const backend of [new FsBackend(), new MemoryBackend()]) {
          const store = await Store.open(__dirname + "/data", { backend });
          await store.set("a", { n: 1 });
          expect(store.get("a")).toEqual({ n: 1 });
          await store.close();
        }
      });
      test("meets errors", async () => {
        const error = await Store.open(__dirname + "/none", { readOnly: true }).catch((e) => e);
        expect(error).toBeInstanceOf(OpslogError);
        expect(error.code).toBe("STORE_NOT_FOUND");
        expect(error).toBeInstanceOf(StoreNotFoundError);
      });
      test("loads the AWS SDK when it is needed", async () => {
        const backend = new S3Backend({ endpoint: "http://127.0.0.1:9", region: "us-east-1", attemptsMax: 1 });
        const error = await Store.open("s3://bucket/store", { backend }).catch((e) => e);
        expect(error.code).toBe("UNAVAILABLE");
      });
    `,
    });
    const jest = join(projectDirectory, "node_modules/jest/bin/jest.js");
    const told = await run(process.execPath, [jest], { cwd: directory }).catch((error) => error);
    expect(told.stderr).toContain("3 passed, 3 total");
  },
);

test.each(["lambda", "lambda/light"])(
  "a CommonJS handler of %s without require(esm)",
  async (entry) => {
    const directory = await project(`cjs-${entry.replace("/", "-")}`, {
      "index.js": `
      const { withStore } = require("opslog-serverless/${entry}");
      exports.handler = withStore({ location: process.cwd() + "/data" }, async (event, context, store) => {
        await store.set("a", event);
        return store.read("a");
      });
    `,
    });
    const program = `
    const context = { awsRequestId: "1", getRemainingTimeInMillis: () => 60000 };
    require("./index.js").handler({ n: 1 }, context).then((value) => console.log(JSON.stringify(value)));
  `;
    const printed = await node(directory, ["--no-experimental-require-module", "--eval", program]);
    expect(JSON.parse(printed.trim().split("\n").at(-1) ?? "")).toEqual({ n: 1 });
  },
);
