/** Runs one task of bounded-memory-worker.ts in a process of its own, set up as a compactor's function is. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { MALLOC_ENVIRONMENT } from "../../infra/memory-environment.ts";
import { oncePerRun } from "./once-per-run.ts";

export interface BoundedResult {
  readonly found: unknown;
  /** The most that the process held at once, above what it held before the task. */
  readonly grownBytes: number;
}

/** @returns runs a task of the worker; what does not fit rejects */
export async function boundedProcess(): Promise<
  (flags: readonly string[], ...args: string[]) => Promise<BoundedResult>
> {
  const directory = await oncePerRun("bounded-memory-worker", bundle);
  const worker = join(directory, "worker.mjs");
  return async (flags, ...args) => {
    const env = { ...process.env, ...MALLOC_ENVIRONMENT };
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, worker, ...args], {
      env,
    });
    const result: BoundedResult = JSON.parse(stdout);
    return result;
  };
}

async function bundle(directory: string): Promise<void> {
  await build({
    entryPoints: [fileURLToPath(new URL("../store/bounded-memory-worker.ts", import.meta.url))],
    outfile: join(directory, "worker.mjs"),
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    mainFields: ["module", "main"],
    // The SDK loads an optional package of its own by `require`, which ES modules lack.
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
    logLevel: "silent",
  });
}
