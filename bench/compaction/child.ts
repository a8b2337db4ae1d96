/** Starts the processes of these measurements and takes their answers. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export type Program = "invocation" | "fill" | "writers" | "merge";

export interface Running<Answer> {
  readonly child: ChildProcess;
  /** @throws Error when it ended with a failure, which standard error shows */
  readonly answer: Promise<Answer>;
}

export function start<Answer>(program: Program, task: object, heapMb?: number): Running<Answer> {
  const file = fileURLToPath(new URL(`${program}.mjs`, import.meta.url));
  const { OPSLOG_TEST_S3_ENDPOINT: endpoint } = process.env;
  const heap = heapMb === undefined ? [] : [`--max-old-space-size=${heapMb}`];
  const child = spawn(process.execPath, [...heap, file, JSON.stringify(task)], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...(endpoint === undefined ? {} : { AWS_ENDPOINT_URL_S3: endpoint }) },
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (data: string) => (text += data));
  const answer = new Promise<Answer>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (code === 0) resolve(JSON.parse(text) as Answer);
      else reject(new Error(`${program} ended with ${signal ?? code}: ${JSON.stringify(task)}`));
    });
  });
  // Whoever waits for it later hears of it then.
  answer.catch(() => undefined);
  return { child, answer };
}

export function run<Answer>(program: Program, task: object, heapMb?: number): Promise<Answer> {
  return start<Answer>(program, task, heapMb).answer;
}
