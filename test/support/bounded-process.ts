/** Runs one task of bounded-memory-worker.ts in a process of its own. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";

export interface BoundedResult {
  readonly found: unknown;
  /** The most that the process held at once, above what it held before the task. */
  readonly grownBytes: number;
}

/** Bundles the worker into a directory. @returns runs a task there; what does not fit rejects */
export async function boundedProcess(
  directory: string,
): Promise<(flags: readonly string[], ...args: string[]) => Promise<BoundedResult>> {
  const worker = join(directory, "worker.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("../store/bounded-memory-worker.ts", import.meta.url))],
    outfile: worker,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    mainFields: ["module", "main"],
    // The SDK asks for an optional package of its own by `require`, which ES modules lack.
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
    logLevel: "silent",
  });
  return async (flags, ...args) => {
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, worker, ...args]);
    const result: BoundedResult = JSON.parse(stdout);
    return result;
  };
}
