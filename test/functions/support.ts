/** The functions bundled as they are deployed. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export { type HttpCall, httpEvent } from "./http-event.ts";

export const projectDirectory = fileURLToPath(new URL("../..", import.meta.url));

/** Bundles the functions into a directory; what the bundler printed. */
export async function bundleInto(directory: string): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["esbuild.config.mjs", directory],
    { cwd: projectDirectory },
  );
  return stdout;
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
