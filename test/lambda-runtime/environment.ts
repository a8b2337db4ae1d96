/** An execution environment of Lambda: a process of AWS's runtime client with a function in it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { type Answer, RuntimeApi } from "./runtime-api.ts";

const DIRECTORY = resolve(
  process.env["LAMBDA_RUNTIME_DIR"] || "node_modules/.cache/lambda-runtime",
);
const CLIENT = join(DIRECTORY, "client/node_modules/aws-lambda-ric/index.mjs");
const TIMEOUT_MS = 60_000;

export type NodeMajor = 22 | 24;

export interface FunctionSettings {
  readonly node: NodeMajor;
  /** Where the bundle is. */
  readonly directory: string;
  /** `file.export`. */
  readonly handler: string;
  readonly env: Readonly<Record<string, string>>;
  /** Several invocations at once in one process, as on Managed Instances. */
  readonly concurrency?: { readonly workers: number } | undefined;
}

export type Outcome =
  | Answer
  /** The process ended before it answered. */
  | { readonly kind: "ended"; readonly why: "timeout" | "exit" };

export class Environment implements AsyncDisposable {
  /** How many processes it has had. */
  incarnation = 0;
  /** What all of them printed. */
  output = "";
  readonly #settings: FunctionSettings;
  readonly #api: RuntimeApi;
  #process: ChildProcess | undefined;
  #ended: Promise<unknown> = Promise.resolve();
  #listeners: (() => void)[] = [];

  private constructor(settings: FunctionSettings, api: RuntimeApi) {
    this.#settings = settings;
    this.#api = api;
  }

  static async open(settings: FunctionSettings): Promise<Environment> {
    return new Environment(settings, await RuntimeApi.start());
  }

  get initErrors(): readonly Answer[] {
    return this.#api.initErrors;
  }

  /** Starts a process if there is none. At its deadline it is killed, as Lambda does. */
  async invoke(event: unknown, timeoutMs = TIMEOUT_MS): Promise<Outcome> {
    if (this.#process === undefined) this.#start();
    let why: "timeout" | "exit" = "exit";
    const ended = this.#ended.then(() => ({ kind: "ended", why }) as const);
    const timer = setTimeout(() => {
      why = "timeout";
      void this.kill();
    }, timeoutMs);
    const answer = this.#api.invoke(event, Date.now() + timeoutMs);
    try {
      return await Promise.race([answer, ended]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Resolves when the process waits for the next invocation. */
  idle(): Promise<void> {
    return this.#api.idle();
  }

  freeze(): void {
    this.#process?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#process?.kill("SIGCONT");
  }

  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#ended;
  }

  /** Resolves when the text has been printed. */
  async printed(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      await new Promise<void>((settle) => this.#listeners.push(settle));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#api[Symbol.asyncDispose]();
  }

  #start(): void {
    const { node, directory, handler, env, concurrency } = this.#settings;
    this.incarnation++;
    const child = spawn(join(DIRECTORY, `node-${node}/node_modules/.bin/node`), [CLIENT], {
      cwd: directory,
      env: {
        ...lambdaVariables(handler, directory),
        AWS_LAMBDA_RUNTIME_API: this.#api.address,
        ...(concurrency === undefined ? {} : concurrencyVariables(concurrency.workers)),
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const hear = (chunk: Buffer): void => {
      this.output += chunk.toString();
      for (const settle of this.#listeners.splice(0)) settle();
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    this.#process = child;
    this.#ended = this.#mourn(child);
  }

  async #mourn(child: ChildProcess): Promise<void> {
    await once(child, "close");
    this.#process = undefined;
    this.#api.forget();
  }
}

function lambdaVariables(handler: string, directory: string): Record<string, string> {
  return {
    _HANDLER: handler,
    LAMBDA_TASK_ROOT: directory,
    AWS_LAMBDA_FUNCTION_NAME: "function",
    AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "512",
    AWS_LAMBDA_LOG_GROUP_NAME: "/aws/lambda/function",
    AWS_LAMBDA_LOG_STREAM_NAME: "stream",
    // As the managed runtimes start Node.
    NODE_OPTIONS: "--no-experimental-require-module",
    TZ: ":UTC",
  };
}

/** Every worker waits for its next invocation in a thread of libuv's pool, which has four. */
function concurrencyVariables(workers: number): Record<string, string> {
  return {
    AWS_LAMBDA_MAX_CONCURRENCY: "64",
    AWS_LAMBDA_NODEJS_WORKER_COUNT: String(workers),
    UV_THREADPOOL_SIZE: String(workers + 4),
  };
}
