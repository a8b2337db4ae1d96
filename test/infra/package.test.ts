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
  expect(stdout).toBe("store 14\n");
  const out = await readdir(join(home.path, "out"));
  const asset = out.find((name) => name.startsWith("asset.")) ?? "";
  const deployed = join(home.path, "out", asset);
  expect((await readdir(deployed)).toSorted()).toEqual([
    "chunks",
    "compact.js",
    "lambda",
    "package.json",
  ]);
  expect(await compactWith(deployed, await filledStore(home.path))).toMatchObject({
    outcome: "idle",
    runs: 1,
  });

  // As Jest and Lambda load it: ES modules cannot be required there.
  const required = program
    .replace(/import (\{.*\}) from (".*");/g, "const $1 = require($2);")
    .replace('"out"', '"out-cjs"');
  await writeFile(join(home.path, "app.cjs"), required);
  const args = ["--no-experimental-require-module", "app.cjs"];
  const { stdout: told } = await run(process.execPath, args, { cwd: home.path });
  expect(told).toBe("store 14\n");
  expect(await readdir(join(home.path, "out-cjs"))).toContain(asset);
});

/** A store with one record in its log. */
async function filledStore(project: string): Promise<string> {
  const program = `
    import { Store } from "opslog-serverless";
    const store = await Store.open("data");
    await store.set("a", { n: 1 });
    await store.close();
  `;
  await run(process.execPath, ["--input-type=module", "--eval", program], { cwd: project });
  return join(project, "data");
}

/** Invokes the deployed function as Lambda does: from a directory that holds nothing else. */
async function compactWith(directory: string, location: string): Promise<unknown> {
  const program = `
    const { handler } = require("./compact.js");
    const context = { awsRequestId: "1", getRemainingTimeInMillis: () => 60000 };
    handler({}, context).then((report) => console.log(JSON.stringify(report)));
  `;
  const args = ["--no-experimental-require-module", "--eval", program];
  const env = { OPSLOG_LOCATION: location };
  const { stdout } = await run(process.execPath, args, { cwd: directory, env });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

test("the package contains the bundle and requires the CDK only from its users", () => {
  const { exports, files, scripts, peerDependencies, peerDependenciesMeta, dependencies } =
    npmPackage;
  expect(exports["./cdk"]).toEqual({
    import: { types: "./dist/cdk/index.d.ts", default: "./dist/cdk/index.js" },
    require: { types: "./dist/cjs/cdk/index.d.ts", default: "./dist/cjs/cdk/index.js" },
  });
  expect(files).toEqual(expect.arrayContaining(["dist", "!dist/functions", "!dist/cdk.out"]));
  expect(scripts["prepack"]).toContain("scripts/build-package.mjs");
  const peers = ["@aws-lambda-powertools/idempotency", "aws-cdk-lib", "constructs"];
  expect(Object.keys(peerDependencies)).toEqual(peers);
  expect(peerDependenciesMeta).toEqual({
    "@aws-lambda-powertools/idempotency": { optional: true },
    "aws-cdk-lib": { optional: true },
    constructs: { optional: true },
  });
  expect(dependencies).not.toHaveProperty("aws-cdk-lib");
});
