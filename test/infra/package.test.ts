/** `opslog-serverless/cdk` as a project finds it: built, with its bundle, where only that is. */
import { execFile } from "node:child_process";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { npmPackage, projectWithPackage } from "../support/installed-package.ts";
import { SYNTH_MS } from "./support.ts";

const run = promisify(execFile);

test("what is built synthesises a store with the bundle", { timeout: SYNTH_MS }, async () => {
  await using home = await projectWithPackage(["aws-cdk-lib", "constructs"]);
  const program = `
    import { App, Stack } from "aws-cdk-lib";
    import { METRICS, OpslogStore } from "opslog-serverless/cdk";
    const app = new App({ outdir: "out", builtinCloudFormationValidation: false });
    const store = new OpslogStore(new Stack(app, "mine"), "Store");
    app.synth();
    console.log(store.prefix, Object.keys(METRICS).length);
  `;
  await writeFile(join(home.path, "app.mjs"), program);
  const { stdout } = await run(process.execPath, ["app.mjs"], { cwd: home.path });
  expect(stdout).toBe("store 8\n");
  const out = await readdir(join(home.path, "out"));
  const asset = out.find((name) => name.startsWith("asset.")) ?? "";
  expect(await readdir(join(home.path, "out", asset))).toEqual(["compact.mjs"]);

  // As Jest and Lambda load it: ES modules cannot be required there.
  const required = program
    .replace(/import (\{.*\}) from (".*");/g, "const $1 = require($2);")
    .replace('"out"', '"out-cjs"');
  await writeFile(join(home.path, "app.cjs"), required);
  const args = ["--no-experimental-require-module", "app.cjs"];
  const { stdout: told } = await run(process.execPath, args, { cwd: home.path });
  expect(told).toBe("store 8\n");
  expect(await readdir(join(home.path, "out-cjs"))).toContain(asset);
});

test("the package ships the bundle and asks for the CDK only of those who use it", () => {
  const { exports, files, scripts, peerDependencies, peerDependenciesMeta, dependencies } = npmPackage; // prettier-ignore
  expect(exports["./cdk"]).toEqual({
    require: {
      types: "./dist/cdk/cjs/index.d.ts",
      default: "./dist/cdk/cjs/index.js",
    },
    types: "./dist/cdk/index.d.ts",
    default: "./dist/cdk/index.js",
  });
  expect(files).toEqual(expect.arrayContaining(["dist", "!dist/cdk.out"]));
  expect(files).not.toContain("!dist/cdk");
  expect(scripts["build"]).toContain("npm run build:cdk");
  expect(scripts["build:cdk"]).toMatch(/cp dist\/functions\/compact\.mjs dist\/cdk\/compactor\//);
  expect(Object.keys(peerDependencies)).toEqual(["aws-cdk-lib", "constructs"]);
  expect(peerDependenciesMeta).toEqual({
    "aws-cdk-lib": { optional: true },
    constructs: { optional: true },
  });
  expect(dependencies).not.toHaveProperty("aws-cdk-lib");
});
