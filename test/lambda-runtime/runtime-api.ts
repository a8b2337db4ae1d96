/**
 * The Runtime API as Lambda offers it to one execution environment: the process asks for the next
 * invocation, and posts its response or its error.
 */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

/** What the process posted. */
export type Answer =
  | { readonly kind: "result"; readonly value: unknown }
  | { readonly kind: "error"; readonly type: string; readonly message: string };

interface Waiting {
  readonly requestId: string;
  readonly event: unknown;
  readonly deadlineMs: number;
  readonly answer: (answer: Answer) => void;
}

const VERSION = "/2018-06-01/runtime";
const ARN = "arn:aws:lambda:us-east-1:123456789012:function:records";

export class RuntimeApi implements AsyncDisposable {
  /** What the process failed with while it loaded its handler. */
  readonly initErrors: Answer[] = [];
  readonly #server: Server;
  readonly #queue: Waiting[] = [];
  readonly #running = new Map<string, Waiting>();
  /** Requests for the next invocation that have not been answered. */
  readonly #asking = new Set<ServerResponse>();
  #idle: (() => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on("request", (request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        console.error("Runtime API:", error);
        response.destroy();
      });
    });
  }

  static async start(): Promise<RuntimeApi> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new RuntimeApi(server);
  }

  /** Host and port. */
  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port to listen on");
    return `127.0.0.1:${address.port}`;
  }

  /** Resolves with what the process posts. One that dies posts nothing: see `forget`. */
  invoke(event: unknown, deadlineMs: number): Promise<Answer> {
    return new Promise((answer) => {
      this.#queue.push({ requestId: randomUUID(), event, deadlineMs, answer });
      this.#handOut();
    });
  }

  /** Resolves when the process asks for an invocation and there is none: Lambda freezes it now. */
  async idle(): Promise<void> {
    if (this.#asking.size > 0 && this.#running.size === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** The process is gone, and with it what it was asked to do. */
  forget(): void {
    this.#queue.length = 0;
    this.#running.clear();
    for (const response of this.#asking) response.destroy();
    this.#asking.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "";
    if (path === `${VERSION}/invocation/next`) {
      this.#asking.add(response);
      response.on("close", () => this.#asking.delete(response));
      this.#handOut();
      return;
    }
    const body = await textOf(request);
    response.writeHead(202, { "content-type": "application/json" }).end('{"status":"OK"}');
    if (path === `${VERSION}/init/error`) {
      this.initErrors.push(errorOf(body));
      return;
    }
    const [, requestId = "", verb] = /\/invocation\/([^/]+)\/(response|error)$/.exec(path) ?? [];
    const posted: Answer =
      verb === "response" ? { kind: "result", value: JSON.parse(body) } : errorOf(body);
    const invocation = this.#running.get(decodeURIComponent(requestId));
    if (invocation === undefined) throw new Error(`${path}: no such invocation is running`);
    this.#running.delete(invocation.requestId);
    invocation.answer(posted);
  }

  #handOut(): void {
    for (const response of this.#asking) {
      const invocation = this.#queue.shift();
      if (invocation === undefined) break;
      this.#asking.delete(response);
      this.#running.set(invocation.requestId, invocation);
      response.writeHead(200, {
        "content-type": "application/json",
        "lambda-runtime-aws-request-id": invocation.requestId,
        "lambda-runtime-deadline-ms": String(Math.round(invocation.deadlineMs)),
        "lambda-runtime-invoked-function-arn": ARN,
        "lambda-runtime-trace-id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0",
      });
      response.end(JSON.stringify(invocation.event));
    }
    if (this.#asking.size === 0 || this.#running.size > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

function errorOf(body: string): Answer {
  const { errorType = "", errorMessage = "" }: Record<string, string> = JSON.parse(body);
  return { kind: "error", type: errorType, message: errorMessage };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
