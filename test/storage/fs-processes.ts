/** Starts fs-worker.ts, or another worker, in processes of its own. */
import { spawn } from "node:child_process";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { onTestFinished } from "vitest";
import { oncePerRun } from "../support/once-per-run.ts";

export interface Worker {
  readonly pid: number;
  /** The next answer. */
  answer(): Promise<unknown>;
  /** Gives it a line to go on. */
  go(line?: string): void;
  /** Ends its stdin: it goes on, or ends. */
  finish(): void;
  kill(): Promise<void>;
}

export interface Workers {
  start(args: readonly string[], uid?: number): Worker;
}

const FS_WORKER = new URL("fs-worker.ts", import.meta.url);

export async function bundleWorker(entry: URL = FS_WORKER): Promise<Workers> {
  const source = fileURLToPath(entry);
  const directory = await oncePerRun(basename(source, ".ts"), (into) =>
    build({
      entryPoints: [source],
      outfile: join(into, "worker.mjs"),
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      logLevel: "silent",
    }),
  );
  return { start: (args, uid) => startWorker(join(directory, "worker.mjs"), args, uid) };
}

function startWorker(file: string, args: readonly string[], uid: number | undefined): Worker {
  const child = spawn(process.execPath, [file, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
    ...(uid === undefined ? {} : { uid }),
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await exited;
  };
  onTestFinished(kill);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    pid: child.pid ?? 0,
    answer: async () => {
      const line = await lines.next();
      if (line.done === true) throw new Error(`worker ${args[0]} ended without an answer`);
      return JSON.parse(line.value);
    },
    go: (line = "go") => void child.stdin.write(`${line}\n`),
    finish: () => void child.stdin.end(),
    kill,
  };
}
