/** The functions bundled as they are deployed. */
import { execFile } from "node:child_process";
import { cp, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { oncePerRun } from "../support/once-per-run.ts";

export { type HttpCall, httpEvent } from "./http-event.ts";

export const projectDirectory = fileURLToPath(new URL("../..", import.meta.url));

const PRINTED = "printed.txt";

/** Bundles the functions into a directory; what the bundler printed. */
export async function bundleInto(directory: string): Promise<string> {
  const bundles = await oncePerRun("functions", bundleFunctions);
  await cp(bundles, directory, { recursive: true, filter: (path) => basename(path) !== PRINTED });
  return readFile(join(bundles, PRINTED), "utf8");
}

async function bundleFunctions(directory: string): Promise<void> {
  const args = ["esbuild.config.mjs", directory];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: projectDirectory });
  await writeFile(join(directory, PRINTED), stdout);
}

/** Runs a module in a new process, in a directory; what it printed. */
export async function runModule(
  source: string,
  directory: string,
  env: Record<string, string> = {},
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const args = ["--input-type=module", "--eval", source];
  return promisify(execFile)(process.execPath, args, { cwd: directory, env });
}
