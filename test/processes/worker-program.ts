/** Bundles worker.ts and starts it in processes of its own. Knows nothing of the tests' runner. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { tempDir } from "../support/temp-dir.ts";
import type { WorkerTask } from "./worker.ts";

/** How a process ended: its exit code, null when a signal ended it. */
export interface Ending {
  readonly code: number | null;
  readonly stderr: string;
}

export interface WorkerProcess {
  /** The next line it printed, parsed. @throws when it ended without one */
  answer(): Promise<unknown>;
  /** Gives it a line to go on. */
  go(): void;
  /** Ends its stdin: the last it hears. */
  finish(): void;
  /** Freezes it in the middle of whatever it does, and lets it go on. */
  freeze(): void;
  thaw(): void;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<Ending>;
  readonly ended: Promise<Ending>;
}

/** Kills what still runs on dispose. */
export interface WorkerProgram extends AsyncDisposable {
  start(task: WorkerTask): WorkerProcess;
  killAll(): Promise<void>;
}

export interface WorkerProgramOptions {
  /** Path of worker.ts, for those who are bundled themselves. */
  readonly source?: string;
  /** Environment variables of the processes, beside those of this one. */
  readonly env?: Readonly<Record<string, string>>;
}

const WORKER = fileURLToPath(new URL("worker.ts", import.meta.url));

export async function bundleWorkers({
  source = WORKER,
  env = {},
}: WorkerProgramOptions = {}): Promise<WorkerProgram> {
  const directory = await tempDir();
  await bundleWorker(directory.path, source);
  const program = startWorkers(directory.path, env);
  return {
    ...program,
    [Symbol.asyncDispose]: async () => {
      await program.killAll();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Bundles worker.ts into a directory. */
export async function bundleWorker(directory: string, source = WORKER): Promise<void> {
  await build({
    entryPoints: [source],
    outdir: directory,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node20",
    logLevel: "warning",
    // Parts of the AWS SDK are CommonJS and ask for Node's own modules by `require`.
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
  });
}

/** Starts the worker that was bundled into a directory. */
export function startWorkers(
  directory: string,
  env: Readonly<Record<string, string>> = {},
): WorkerProgram {
  const started: WorkerProcess[] = [];
  const killAll = async (): Promise<void> => {
    await Promise.all(started.map((worker) => worker.kill()));
  };
  return {
    killAll,
    start: (task) => {
      const worker = startWorker(join(directory, "worker.mjs"), task, env);
      started.push(worker);
      return worker;
    },
    [Symbol.asyncDispose]: killAll,
  };
}

/** The AWS SDK warns of Node 20's end; a worker has nothing else to say on stderr. */
const ENVIRONMENT = { ...process.env, AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" };

function startWorker(
  file: string,
  task: WorkerTask,
  env: Readonly<Record<string, string>>,
): WorkerProcess {
  const args = [file, JSON.stringify(task)];
  const child = spawn(process.execPath, args, { stdio: "pipe", env: { ...ENVIRONMENT, ...env } });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  // A process killed with our line still in its pipe: its ending says all there is to say.
  child.stdin.on("error", () => undefined);
  const ended = new Promise<Ending>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stderr }));
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    ended,
    answer: async () => {
      const line = await lines.next();
      if (line.done !== true) return JSON.parse(line.value);
      const ending = JSON.stringify(await ended);
      throw new Error(`a worker ended without an answer: ${ending}, task ${JSON.stringify(task)}`);
    },
    go: () => void child.stdin.write("go\n"),
    finish: () => void child.stdin.end(),
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
    kill: () => {
      child.kill("SIGKILL");
      return ended;
    },
  };
}
