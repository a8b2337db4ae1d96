/** Handlers of a project that has the package installed, through the bundlers that people use. */
import { execFile } from "node:child_process";
import { access, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { build, type BuildOptions } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requireBanner, settings } from "../../esbuild.settings.mjs";
import { runModule } from "../functions/support.ts";
import { SYNTH_MS } from "../infra/support.ts";
import { npmPackage, projectWithPackage } from "../support/installed-package.ts";
import { recordingProxy } from "../support/recording-proxy.ts";
import { tempDir } from "../support/temp-dir.ts";
import { bundleWithRollup, bundleWithWebpack } from "./bundle-with.mjs";

const BUNDLE_MS = 180_000;
const CLIENTS = ["sdk", "light"] as const;

let project: Awaited<ReturnType<typeof projectWithPackage>>;
let server: Awaited<ReturnType<typeof recordingProxy>>;

beforeAll(async () => {
  server = await recordingProxy("http://127.0.0.1:9");
  server.fault = () => ({ status: 403, body: "<Error><Code>AccessDenied</Code></Error>" });
  const others = ["@aws-sdk", "@smithy", "aws-cdk-lib", "constructs", "esbuild"];
  project = await projectWithPackage(others);
  for (const client of CLIENTS) {
    const from = client === "sdk" ? "lambda" : "lambda/light";
    await writeFile(
      join(project.path, `${client}.mjs`),
      `import { withStore } from "opslog-serverless/${from}";
      export const handler = (location, context) =>
        withStore({ location }, async (event, context, store) => {
          await store.set("a", { n: 1 });
          return await store.read("a");
        })({}, context);`,
    );
  }
}, BUNDLE_MS);

afterAll(async () => {
  await project[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** Invokes the handler of a bundle on a directory and on a bucket that refuses it. */
async function invoke(bundle: string): Promise<unknown> {
  await using data = await tempDir();
  server.requests.length = 0;
  const { stdout } = await runModule(
    `
    const loaded = await import(${JSON.stringify(bundle)});
    const handler = loaded.handler ?? loaded.default.handler;
    const context = { awsRequestId: "1", getRemainingTimeInMillis: () => 20_000 };
    const stored = await handler(${JSON.stringify(data.path)}, context);
    const refused = await handler("s3://bucket/store", context).catch((error) => error.name);
    console.log(JSON.stringify({ stored, refused }));
    `,
    project.path,
    {
      AWS_ENDPOINT_URL_S3: server.endpoint,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
    },
  );
  expect(server.requests.map(({ path }) => path)).toContain("/bucket/store/manifest.json");
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

const WORKS = { stored: { n: 1 }, refused: "AccessDeniedError" };

describe.each(CLIENTS)(
  "a handler with the %s client works, bundled",
  { timeout: BUNDLE_MS },
  (client) => {
    const output = (name: string): string => join(project.path, "out", `${client}-${name}`);

    const bare: BuildOptions = { bundle: true, platform: "node", logLevel: "error" };
    const byEsbuild: [string, BuildOptions, extension: string][] = [
      ["to CommonJS, without settings", { ...bare, format: "cjs" }, "cjs"],
      ["minified", { ...bare, format: "cjs", minify: true }, "cjs"],
      ["with the banner", { ...bare, format: "esm", banner: { js: requireBanner } }, "mjs"],
      ["by main fields", { ...bare, format: "esm", mainFields: ["module", "main"] }, "mjs"],
      ["with the SDK outside", { ...bare, format: "esm", external: ["@aws-sdk/*"] }, "mjs"],
      ["with our settings", settings, "mjs"],
    ];
    test.each(byEsbuild)("by esbuild %s", async (name, options, extension) => {
      const outfile = output(`${name.replaceAll(/\W+/g, "-")}.${extension}`);
      await build({
        ...options,
        absWorkingDir: project.path,
        entryPoints: [`${client}.mjs`],
        outfile,
      });
      expect(await invoke(outfile)).toEqual(WORKS);
    });

    test("by rollup", async () => {
      const files = [
        { file: output("rollup.mjs"), format: "es" },
        { file: output("rollup.cjs"), format: "cjs" },
      ] as const;
      const warnings = await bundleWithRollup(join(project.path, `${client}.mjs`), files);
      // Inside the SDK.
      expect(warnings.filter((code) => code !== "CIRCULAR_DEPENDENCY")).toEqual([]);
      for (const { file, format } of files) expect(await invoke(file), format).toEqual(WORKS);
    });

    test.each([
      ["CommonJS", "webpack.cjs", false],
      ["ES modules", "webpack.mjs", true],
    ])("by webpack to %s", async (name, filename, esModules) => {
      const path = output(`webpack-${name}`);
      const [context, entry] = [project.path, `./${client}.mjs`];
      const told = await bundleWithWebpack({
        context,
        entry,
        output: { path, filename },
        esModules,
      });
      expect(told).toEqual([]);
      expect(await invoke(join(path, filename))).toEqual(WORKS);
    });
  },
);

test(
  "names of a banner do not meet names of the package in a bundle",
  { timeout: BUNDLE_MS },
  async () => {
    const outfile = join(project.path, "out/banner.mjs");
    const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".split("");
    const pairs = letters.flatMap((first) => letters.map((second) => first + second));
    const names = [...letters, ...pairs].filter((name) => !["as", "do", "if", "in"].includes(name));
    await build({
      absWorkingDir: project.path,
      banner: { js: `const ${names.map((name) => `${name} = 0`).join(", ")};` },
      bundle: true,
      entryPoints: ["light.mjs"],
      format: "esm",
      outfile,
      platform: "node",
    });
    expect(await invoke(outfile)).toEqual(WORKS);
  },
);

test("a bundle of ES modules without the banner ends in the error that the guide names", async () => {
  const outfile = join(project.path, "out/bare.mjs");
  const options: BuildOptions = { bundle: true, platform: "node", format: "esm" };
  await build({ ...options, absWorkingDir: project.path, entryPoints: ["sdk.mjs"], outfile });
  await expect(invoke(outfile)).rejects.toThrow('Dynamic require of "node:https" is not supported');
});

test(
  "NodejsFunction of the CDK works as it is, and to ES modules with the banner",
  { timeout: SYNTH_MS },
  async () => {
    await mkdir(join(project.path, "node_modules/.bin"));
    await symlink("../esbuild/bin/esbuild", join(project.path, "node_modules/.bin/esbuild"));
    await writeFile(join(project.path, "package-lock.json"), "{}");
    await writeFile(
      join(project.path, "app.mjs"),
      `import { App, Stack } from "aws-cdk-lib";
    import { Runtime } from "aws-cdk-lib/aws-lambda";
    import { NodejsFunction, OutputFormat } from "aws-cdk-lib/aws-lambda-nodejs";
    import { requireBanner } from "opslog-serverless/esbuild";
    const app = new App({ outdir: "cdk.out", builtinCloudFormationValidation: false });
    const stack = new Stack(app, "stack");
    const [entry, runtime] = ["sdk.mjs", Runtime.NODEJS_22_X];
    const bundling = { format: OutputFormat.ESM, bundleAwsSDK: true, banner: requireBanner };
    const functions = [
      new NodejsFunction(stack, "Default", { entry }),
      new NodejsFunction(stack, "SdkOfTheRuntime", { entry, runtime }),
      new NodejsFunction(stack, "EsModules", { entry, runtime, bundling }),
    ];
    app.synth();
    const assets = functions.map((f) => f.node.findChild("Code").node.findChild("Stage").absoluteStagedPath);
    console.log(JSON.stringify(assets));`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, ["app.mjs"], {
      cwd: project.path,
    });
    const assets: string[] = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
    expect(assets).toHaveLength(3);
    // On Lambda no package.json says that the files of this project are ES modules.
    await writeFile(join(project.path, "cdk.out/package.json"), "{}");
    for (const [at, asset] of assets.entries()) {
      const bundle = join(asset, at === 2 ? "index.mjs" : "index.js");
      expect(await invoke(bundle), bundle).toEqual(WORKS);
    }
  },
);

test("what package.json exports is published", async () => {
  const { exports } = npmPackage;
  const pathsIn = (target: unknown): string[] =>
    typeof target === "string" ? [target] : Object.values(Object(target)).flatMap(pathsIn);
  const targets = pathsIn(exports).map((path) => access(join(project.installed, path)));
  expect(targets.length).toBeGreaterThan(30);
  await Promise.all(targets);
  const entries = Object.keys(exports).map((name) => name.replace(".", "opslog-serverless"));
  const { stdout } = await runModule(
    `for (const name of ${JSON.stringify(entries)}) console.log(import.meta.resolve(name));`,
    project.path,
  );
  expect(stdout.trim().split("\n")).toHaveLength(entries.length);
});
