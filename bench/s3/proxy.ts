/**
 * An HTTP proxy in this process that stands for the distance to S3: it holds every answer back for
 * some time and counts every request. Bodies are passed on as they come, so that a large download
 * costs no more than it does without it. The Host header stays, so that signatures survive.
 */
import { once } from "node:events";
import { Agent, createServer, request as httpRequest } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { setTimeout } from "node:timers/promises";
import { type CountedRequest, kindOf } from "./cost.ts";

type Record = { -readonly [Name in keyof CountedRequest]: CountedRequest[Name] };

export interface LatencyProxy extends AsyncDisposable {
  /** One for each client; a client has its requests counted as its own. */
  readonly endpoints: readonly string[];
  /** All since `reset`, in the order of their beginning. */
  readonly requests: readonly CountedRequest[];
  reset(): void;
}

/** More than any client opens. */
const SOCKETS_MAX = 512;
/** They belong to one connection, not to the message. */
const HOP_HEADERS = new Set(["connection", "keep-alive", "transfer-encoding"]);

/**
 * @param latencyMs added to each request, also to those that are under way at the same time
 * @param clients how many addresses to listen on
 */
export async function latencyProxy(
  target: string,
  latencyMs: number,
  clients: number,
): Promise<LatencyProxy> {
  const relay = new Relay(target, latencyMs);
  const servers = Array.from({ length: clients }, (_, client) =>
    createServer((incoming, outgoing) => relay.serve(client, incoming, outgoing)),
  );
  const endpoints = await Promise.all(servers.map(listen));
  return {
    endpoints,
    get requests() {
      return relay.requests;
    },
    reset: () => {
      relay.requests = [];
    },
    [Symbol.asyncDispose]: async () => {
      relay.close();
      for (const server of servers) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

/** Passes requests on to the target, and records them. */
class Relay {
  requests: Record[] = [];
  readonly #target: URL;
  readonly #latencyMs: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX });
  #ordinal = 0;

  constructor(target: string, latencyMs: number) {
    this.#target = new URL(target);
    this.#latencyMs = latencyMs;
  }

  close(): void {
    this.#agent.destroy();
  }

  serve(client: number, incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { searchParams } = new URL(incoming.url ?? "/", this.#target);
    const kind = kindOf(incoming.method ?? "", searchParams);
    const counts = { bytesUp: 0, bytesDown: 0, status: undefined };
    const ordinals = { startOrdinal: ++this.#ordinal, endOrdinal: undefined };
    const record: Record = { kind, client, ...ordinals, ...counts };
    this.requests.push(record);
    // The client sees a broken connection, and the request counts as failed.
    this.#pass(incoming, outgoing, record).catch(() => {
      record.status = undefined;
      record.endOrdinal ??= ++this.#ordinal;
      outgoing.destroy();
    });
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse, record: Record): Promise<void> {
    const answer = await this.#forward(incoming, record);
    await setTimeout(this.#latencyMs);
    outgoing.sendDate = false;
    outgoing.writeHead(answer.statusCode ?? 502, endToEnd(answer));
    record.status = answer.statusCode;
    // The last piece waits until the end is noted: what the client does next starts after it.
    let last: Buffer | undefined;
    const pieces: AsyncIterable<Buffer> = answer;
    for await (const piece of pieces) {
      record.bytesDown += piece.length;
      if (last !== undefined && !outgoing.write(last)) await once(outgoing, "drain");
      last = piece;
    }
    record.endOrdinal = ++this.#ordinal;
    outgoing.end(last);
  }

  #forward(incoming: IncomingMessage, record: Record): Promise<IncomingMessage> {
    const { method, url: path, headers } = incoming;
    const { hostname, port } = this.#target;
    const upstream = httpRequest({ hostname, port, agent: this.#agent, method, path, headers });
    incoming.on("data", (chunk: Buffer) => (record.bytesUp += chunk.length));
    incoming.pipe(upstream);
    return new Promise((resolve, reject) => {
      upstream.on("response", resolve);
      upstream.on("error", reject);
    });
  }
}

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port to listen on");
  return `http://127.0.0.1:${address.port}`;
}

function endToEnd({ headers }: IncomingMessage): { [name: string]: string | string[] } {
  const kept: { [name: string]: string | string[] } = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !HOP_HEADERS.has(name)) kept[name] = value;
  }
  return kept;
}
