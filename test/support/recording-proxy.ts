/**
 * An HTTP proxy in this process that records every request to an S3 server and can lose requests
 * and answers. It forwards the Host header as signed, so that signatures survive.
 */
import { Agent, createServer, request as httpRequest } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { setTimeout } from "node:timers/promises";

export interface RecordedRequest {
  readonly method: string;
  /** Decoded no further than sent, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly requestHeaders: IncomingHttpHeaders;
  /** Undefined while under way, and when no answer was passed on. */
  status: number | undefined;
  bytesUp: number;
  bytesDown: number;
  readonly startedMs: number;
  endedMs: number | undefined;
  /** Position among all starts and ends the proxy has seen. */
  readonly startOrdinal: number;
  endOrdinal: number | undefined;
}

export type Fault =
  | undefined
  /** The connection breaks before the server receives the request. */
  | "drop-before"
  /** The server carries it out; the connection breaks instead of the answer. */
  | "drop-after"
  /** Neither request nor answer ever arrive. */
  | "hang"
  /** The connection breaks in the middle of the answer's body. */
  | "cut"
  /** The request is carried out a second time so much later, whatever became of it. */
  | { readonly duplicateAfterMs: number }
  /** This answer, without asking the server. */
  | ScriptedAnswer;

export interface ScriptedAnswer {
  readonly status: number;
  readonly body: string;
  /** In place of the defaults; an empty value leaves a header out, also `date`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The connection breaks, or falls silent, after so many bytes of the body. */
  readonly cutAfterBytes?: number;
  readonly silentCut?: boolean;
  /** The server carries the request out all the same. */
  readonly carriedOut?: boolean;
}

export interface RecordingProxy extends AsyncDisposable {
  readonly endpoint: string;
  readonly requests: RecordedRequest[];
  /** Asked for every request, before it is forwarded; may first do something of its own. */
  fault: (request: RecordedRequest) => Fault | Promise<Fault>;
  /** Resolves when every duplicate so far has been sent. */
  settled(): Promise<void>;
  /** Forgets what was recorded, and the faults. */
  reset(): void;
  /** Breaks every connection there is, whether a request uses it or not. */
  dropConnections(): void;
  close(): Promise<void>;
}

/**
 * `answerDelayMs` delays every answer, as a distant server would: requests sent in
 * parallel then overlap for sure, which counting round trips needs. Default 0.
 */
export async function recordingProxy(
  target: string,
  { answerDelayMs = 0 }: { readonly answerDelayMs?: number } = {},
): Promise<RecordingProxy> {
  const { hostname, port } = new URL(target);
  const agent = new Agent({ keepAlive: true, maxSockets: 128 });
  let ordinal = 0;

  const server = createServer((incoming, outgoing) => {
    const { pathname, searchParams } = new URL(incoming.url ?? "/", target);
    const record: RecordedRequest = {
      method: incoming.method ?? "",
      path: pathname,
      query: searchParams,
      requestHeaders: incoming.headers,
      status: undefined,
      bytesUp: 0,
      bytesDown: 0,
      startedMs: performance.now(),
      endedMs: undefined,
      startOrdinal: ++ordinal,
      endOrdinal: undefined,
    };
    proxy.requests.push(record);
    const end = (): void => {
      record.endedMs = performance.now();
      record.endOrdinal = ++ordinal;
    };
    serve(incoming, outgoing, record, end).catch(() => {
      if (record.endOrdinal === undefined) end();
      outgoing.destroy();
    });
  });

  const serve = async (
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    record: RecordedRequest,
    end: () => void,
  ): Promise<void> => {
    const body = await readAll(incoming);
    record.bytesUp = body.length;
    const fault = await proxy.fault(record);
    if (fault === "hang") return;
    if (fault === "drop-before") {
      end();
      outgoing.destroy();
      return;
    }
    const answer = await answerTo(fault, () => forward(incoming, body));
    if (answerDelayMs > 0) await setTimeout(answerDelayMs);
    // Counted before the answer leaves: whatever the client does because of it starts later.
    end();
    if (fault === "drop-after") {
      outgoing.destroy();
      return;
    }
    record.status = answer.status;
    outgoing.sendDate = false;
    const sent = answer.body.subarray(0, answer.cutAfterBytes);
    record.bytesDown = sent.length;
    if (answer.cutAfterBytes === undefined) {
      outgoing.writeHead(answer.status, answer.headers).end(sent);
      return;
    }
    const framed = { ...answer.headers, "content-length": String(answer.body.length) };
    outgoing.writeHead(answer.status, framed).write(sent, () => {
      if (answer.silentCut !== true) outgoing.destroy();
    });
  };

  const late = new Set<Promise<void>>();
  const answerTo = async (fault: Fault, ask: () => Promise<Answer>): Promise<Answer> => {
    if (typeof fault === "object" && "status" in fault) {
      if (fault.carriedOut === true) await ask();
      return toAnswer(fault);
    }
    if (typeof fault === "object") {
      // Nobody waits for what becomes of it.
      const sent = setTimeout(fault.duplicateAfterMs).then(ask).then(nothing, nothing);
      late.add(sent);
      void sent.finally(() => late.delete(sent));
    }
    const answer = await ask();
    if (fault !== "cut" || answer.body.length < 2) return answer;
    return { ...answer, cutAfterBytes: Math.floor(answer.body.length / 2) };
  };

  const forward = async (incoming: IncomingMessage, body: Buffer): Promise<Answer> => {
    const { method, url: path, headers } = incoming;
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const upstream = httpRequest({ hostname, port, agent, method, path, headers }, resolve);
      upstream.on("error", reject);
      upstream.end(body);
    });
    const answered = await readAll(response);
    return { status: response.statusCode ?? 0, body: answered, headers: flat(response, method) };
  };

  const proxy: RecordingProxy = {
    endpoint: "",
    requests: [],
    fault: () => undefined,
    settled: async () => {
      await Promise.all(late);
    },
    reset: () => {
      proxy.requests.length = 0;
      proxy.fault = () => undefined;
    },
    dropConnections: () => server.closeAllConnections(),
    close: async () => {
      server.closeAllConnections();
      agent.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
    [Symbol.asyncDispose]: () => proxy.close(),
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port to listen on");
  return Object.assign(proxy, { endpoint: `http://127.0.0.1:${address.port}` });
}

/**
 * The number of dependent round trips: the length of the longest chain of requests each of which
 * started after the one before had ended. Give the proxy an `answerDelayMs`, or an answer may come
 * faster than a parallel request gets under way.
 */
export function roundTrips(requests: readonly RecordedRequest[]): number {
  const chains: { readonly endOrdinal: number; readonly length: number }[] = [];
  for (const request of requests.toSorted((a, b) => a.startOrdinal - b.startOrdinal)) {
    const before = chains.filter(({ endOrdinal }) => endOrdinal < request.startOrdinal);
    const length = 1 + Math.max(0, ...before.map((chain) => chain.length));
    chains.push({ endOrdinal: request.endOrdinal ?? Infinity, length });
  }
  return Math.max(0, ...chains.map(({ length }) => length));
}

function nothing(): void {}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
  readonly headers: Record<string, string>;
  readonly cutAfterBytes?: number;
  readonly silentCut?: boolean;
}

function toAnswer({ status, body, headers, ...cut }: ScriptedAnswer): Answer {
  const date = new Date().toUTCString();
  const all = Object.entries({ date, "content-type": "application/xml", ...headers });
  const kept = Object.fromEntries(all.filter(([, value]) => value !== ""));
  return { status, body: Buffer.from(body), headers: kept, ...cut };
}

/** Bodies are passed on whole, so framing headers are set again; HEAD keeps its length. */
function flat(response: IncomingMessage, method: string | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    if (name === "content-length" && method !== "HEAD") continue;
    if (["transfer-encoding", "connection", "keep-alive"].includes(name)) continue;
    if (value !== undefined) headers[name] = String(value);
  }
  return headers;
}

async function readAll(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
