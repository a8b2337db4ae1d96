/** What the guide says to type, on a machine without network or AWS account. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { projectDirectory } from "../functions/support.ts";
import { tempDir } from "../support/temp-dir.ts";
import { cdkSettings, SYNTH_MS } from "./support.ts";

const run = promisify(execFile);

interface Assets {
  readonly files: Record<string, { readonly source: { readonly path: string } }>;
}

test("cdk synth bundles the functions and makes the template", { timeout: SYNTH_MS }, async () => {
  await using home = await tempDir();
  const out = join(home.path, "out");
  const cli = join(projectDirectory, "node_modules/aws-cdk/bin/cdk");
  // No credentials, and a proxy that leads nowhere: whatever asked the network would fail.
  const env = {
    PATH: process.env["PATH"],
    HOME: home.path,
    CI: "true",
    AWS_EC2_METADATA_DISABLED: "true",
    HTTPS_PROXY: "http://127.0.0.1:9",
    HTTP_PROXY: "http://127.0.0.1:9",
  };
  await run(process.execPath, [cli, "synth", "--quiet", "--output", out], {
    cwd: projectDirectory,
    env,
  });
  const { Resources } = JSON.parse(await readFile(join(out, "records.template.json"), "utf8"));
  const types = Object.values<{ Type: string }>(Resources).map(({ Type }) => Type);
  expect(types).toContain("AWS::Scheduler::Schedule");
  // Neither metadata of AWS's usage statistics nor a custom resource, whose code CDK would bundle.
  expect(types.filter((type) => !/^AWS::(?!CDK)/.test(type))).toEqual([]);

  const assets: Assets = JSON.parse(await readFile(join(out, "records.assets.json"), "utf8"));
  const directories = Object.values(assets.files)
    .map(({ source }) => source.path)
    .filter((path) => !path.endsWith(".json"));
  const bundles = await Promise.all(
    directories.map(async (path) => {
      for (const name of ["records", "compact"]) {
        const code = await readFile(join(out, path, `${name}.mjs`), "utf8").catch(() => "");
        if (code.length > 100_000) return name;
      }
      return path;
    }),
  );
  expect(bundles.toSorted()).toEqual(["compact", "records"]);
});

test("cdk.json keeps the CLI from calling home", () => {
  expect(cdkSettings).toMatchObject({
    app: "node infra/synth.mjs",
    versionReporting: false,
    notices: false,
    context: { "cli-telemetry": false },
  });
});
