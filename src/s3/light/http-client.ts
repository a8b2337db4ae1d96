/** One HTTP request over Node's own client, on connections that stay open. */
import type { Agent, ClientRequest, RequestOptions } from "node:http";
import { SILENT_ABORT } from "../../core/silent-abort.ts";
import type { Runtime } from "../../core/runtime.ts";
import { RequestError } from "../requests/errors.ts";
import type { AnswerHead } from "../requests/exchange.ts";

export interface HttpRequest {
  readonly method: string;
  /** Scheme, host and port. */
  readonly origin: URL;
  /** Path and query, encoded. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface HttpAnswer extends AnswerHead {
  /** A stream of bytes; breaks off with an error when the answer does. */
  readonly body: unknown;
}

export interface HttpSettings {
  readonly runtime: Runtime;
  readonly connectTimeoutMs: number;
  readonly maxSockets: number;
}

interface HttpModule {
  readonly Agent: new (options: { keepAlive: boolean; maxSockets: number }) => Agent;
  request(options: RequestOptions): ClientRequest;
}

export class HttpClient {
  readonly #settings: HttpSettings;
  readonly #agents = new Map<string, Agent>();

  constructor(settings: HttpSettings) {
    this.#settings = settings;
  }

  /** Resolves with the head of the answer. */
  send(
    { method, origin, target, headers, body }: HttpRequest,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const http = httpModule(origin.protocol);
    const agent = this.#agentFor(origin.protocol, http);
    return new Promise((resolve, reject) => {
      const { hostname, port } = origin;
      const host = hostname.replace(/^\[(.*)\]$/, "$1");
      const request = http.request({ method, host, port, path: target, headers, agent, signal });
      // Stays for the life of the request: an error after the answer breaks the body's stream.
      request.on("error", reject);
      request.on("response", (message) => {
        const { statusCode: status = 0, headers: received } = message;
        const named = Object.entries(received).map(([name, value]) => [name, String(value)]);
        resolve({ status, headers: Object.fromEntries(named), body: message });
      });
      this.#limitConnecting(request, origin.protocol === "https:" ? "secureConnect" : "connect");
      request.end(body);
    });
  }

  closeIdle(): void {
    for (const { freeSockets } of this.#agents.values()) {
      for (const socket of Object.values(freeSockets).flat()) socket?.destroy();
    }
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  #agentFor(protocol: string, { Agent: HttpAgent }: HttpModule): Agent {
    const held = this.#agents.get(protocol);
    if (held !== undefined) return held;
    const { maxSockets } = this.#settings;
    const agent = new HttpAgent({ keepAlive: true, maxSockets });
    this.#agents.set(protocol, agent);
    return agent;
  }

  /** Nothing was sent when this limit passes, so the request may be repeated. */
  #limitConnecting(request: ClientRequest, connected: "connect" | "secureConnect"): void {
    const { runtime, connectTimeoutMs } = this.#settings;
    request.once("socket", (socket) => {
      if (!socket.connecting) return;
      const done = new AbortController();
      for (const event of [connected, "close"]) socket.once(event, () => done.abort(SILENT_ABORT));
      const limit = async (): Promise<void> => {
        await runtime.idle(connectTimeoutMs, done.signal);
        if (done.signal.aborted) return;
        const message = `did not establish a connection within ${connectTimeoutMs} ms`;
        request.destroy(new RequestError({ name: "TimeoutError", message }));
      };
      void limit();
    });
  }
}

/**
 * From Node 22 on an import of node:http or node:https loads undici, a large part of a cold start;
 * `getBuiltinModule` does not.
 */
function httpModule(protocol: string): HttpModule {
  return protocol === "https:"
    ? process.getBuiltinModule("node:https")
    : process.getBuiltinModule("node:http");
}
