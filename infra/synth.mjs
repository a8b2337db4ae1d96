/**
 * What cdk.json runs: bundles the functions, then this application, and synthesises it. Needs
 * nothing but `npm install`: no network, no Docker, no AWS account.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const functions = `${root}dist/functions`;
// What the bundler prints is no part of the template that the CLI prints.
execFileSync(process.execPath, [`${root}esbuild.config.mjs`, functions], {
  stdio: ["ignore", "ignore", "inherit"],
});

// Below node_modules, so that the application finds its packages from there.
mkdirSync(`${root}node_modules/.cache`, { recursive: true });
const directory = mkdtempSync(`${root}node_modules/.cache/infra-`);
try {
  await build({
    absWorkingDir: root,
    entryPoints: ["infra/app.ts"],
    outfile: `${directory}/app.mjs`,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    // Its paths lead to the sources: the package itself need not be built.
    tsconfig: "tsconfig.json",
    external: ["aws-cdk-lib", "cdk-nag", "constructs"],
    sourcemap: "inline",
    logLevel: "warning",
  });
  const { exampleApp } = await import(pathToFileURL(`${directory}/app.mjs`).href);
  exampleApp({ functions }).synth();
} finally {
  rmSync(directory, { recursive: true });
}
