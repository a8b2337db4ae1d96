/** The package as a project finds it after `npm install`: built, and only what is published of it. */
import { execFile } from "node:child_process";
import { copyFile, cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { projectDirectory } from "../functions/support.ts";
import { oncePerRun } from "./once-per-run.ts";
import { tempDir } from "./temp-dir.ts";

/** package.json of this project. */
export const npmPackage = JSON.parse(
  await readFile(join(projectDirectory, "package.json"), "utf8"),
);

const run = promisify(execFile);

export interface Project {
  /** Of a project that has the package, and `others`, in its node_modules. */
  readonly path: string;
  /** Where the package lies in it. */
  readonly installed: string;
}

/** @param others packages that the project has beside this one, as they are installed here */
export async function projectWithPackage(
  others: readonly string[],
): Promise<Project & AsyncDisposable> {
  const home = await tempDir();
  const modules = join(home.path, "node_modules");
  const installed = join(modules, "opslog-serverless");
  await writeFile(join(home.path, "package.json"), '{ "type": "module" }');
  for (const name of others) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(projectDirectory, "node_modules", name), join(modules, name));
  }
  await mkdir(installed, { recursive: true });
  await copyFile(join(projectDirectory, "package.json"), join(installed, "package.json"));
  // A copy: what it imports is looked up from where it lies.
  await cp(await oncePerRun("dist", buildPackage), join(installed, "dist"), { recursive: true });
  return { path: home.path, installed, [Symbol.asyncDispose]: () => home[Symbol.asyncDispose]() };
}

async function buildPackage(dist: string): Promise<void> {
  const script = join(projectDirectory, "scripts/build-package.mjs");
  await run(process.execPath, [script, dist]);
}
