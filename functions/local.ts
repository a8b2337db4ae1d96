/**
 * `npm start`: the Lambda functions of this directory on a local HTTP port, and compaction on a
 * timer.
 *
 *     PORT                     default 3000; 0 takes any free one
 *     OPSLOG_LOCATION          default ./data; s3://bucket/prefix needs AWS credentials
 *     AWS_ENDPOINT_URL_S3      an S3-compatible server instead of AWS
 *     OPSLOG_COMPACT_SECONDS   default 60
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import { resolve } from "node:path";
import { randomUUID } from "node:crypto";
import { createCompactor, type LambdaContext, withStore } from "opslog-serverless/lambda";
import { Problem } from "./http.ts";

const HOST = "127.0.0.1";
const TIMEOUT_MS = 60_000;
/** A compaction that takes longer says so, each time. */
const PROGRESS_MS = 2_000;
/** As Lambda: a larger request never reaches the function. */
const BODY_BYTES_MAX = 6 * 1024 * 1024;

const location = (process.env["OPSLOG_LOCATION"] ||= "./data");
// Only now: the functions read the variable when they load.
const { app } = await import("./records.ts");
// Told in sentences here, not in the lines of JSON that a log service reads.
const compact = createCompactor({ location, metrics: false, log: () => undefined });

let stopping = false;
await main().catch((error: unknown) => {
  console.error(`Cannot start: ${messageOf(error)}`);
  process.exitCode = 1;
});

async function main(): Promise<void> {
  const port = wholeNumber("PORT", 3000, 0, 65_535);
  const compactMs = wholeNumber("OPSLOG_COMPACT_SECONDS", 60, 1, 86_400) * 1_000;
  // Also shows whether the location can be used at all, before any program relies on it.
  await compactOnce();
  await beginStore();

  const server = createServer((request, response) => void serve(request, response));
  server.on("clientError", (_error, socket) => socket.destroy());
  const listening = once(server, "listening");
  server.listen(port, HOST);
  await listening.catch((error: unknown) => {
    throw isPortTaken(error) ? portTaken(port) : error;
  });
  const address = server.address();
  const actual = typeof address === "object" && address !== null ? address.port : port;
  greet(`http://${HOST}:${actual}`, compactMs / 1_000);

  const stop = stopSignal();
  const closed = once(server, "close");
  stop.addEventListener("abort", () => {
    stopping = true;
    server.close();
    server.closeIdleConnections();
  });
  await compactUntil(stop, compactMs);
  await closed;
  console.log("Stopped. Everything acknowledged is stored.");
}

/** Aborts at the first signal; the second one ends the process as usual. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  return stop.signal;
}

/** Compacts, one pass after the other; one that is under way when `stop` aborts ends first. */
async function compactUntil(stop: AbortSignal, everyMs: number): Promise<void> {
  for (;;) {
    await pause(everyMs, stop);
    if (stop.aborted) return;
    await compactOnce().catch((error: unknown) => {
      console.error(`Compaction failed, the next is in ${everyMs / 1_000} s: ${messageOf(error)}`);
    });
  }
}

/** Tells in a line what was compacted, if anything was, and meanwhile that it takes long. */
async function compactOnce(): Promise<void> {
  const startedMs = performance.now();
  const took = (): string => `${((performance.now() - startedMs) / 1_000).toFixed(1)} s`;
  const progress = setInterval(() => console.log(`Compacting, for ${took()} now …`), PROGRESS_MS);
  try {
    const { segments, claims, operations, more } = await compact({}, localContext(TIMEOUT_MS));
    const flushes = segments + claims;
    if (flushes === 0) return;
    const rest = more ? "; the next compaction continues" : "";
    console.log(`Compacted ${operations} operations of ${flushes} flushes in ${took()}${rest}.`);
  } finally {
    clearInterval(progress);
  }
}

/**
 * Conditional requests need the manifest of a store: a new one gets it from whoever loads all records,
 * one with records from the compaction before.
 */
async function beginStore(): Promise<void> {
  const isEmpty = withStore({ location }, async (_event, _context, store) => {
    for await (const _ of store.scan({ limit: 1 })) return false;
    return true;
  });
  if (!(await isEmpty({}, localContext(TIMEOUT_MS)))) return;
  await withStore({ location, skipLoad: false }, () => undefined)({}, localContext(TIMEOUT_MS));
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) return done();
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stopped);
      done();
    }, ms);
    const stopped = (): void => {
      clearTimeout(timer);
      done();
    };
    signal.addEventListener("abort", stopped, { once: true });
  });
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const startedMs = performance.now();
  try {
    const result = await answer(request);
    // A connection kept open for more requests would keep the server from stopping.
    if (stopping) response.setHeader("connection", "close");
    response.statusCode = result.status;
    for (const [name, value] of result.headers) response.setHeader(name, value);
    response.end(await result.text());
    const tookMs = (performance.now() - startedMs).toFixed(0);
    console.log(`${request.method} ${request.url} ${result.status} ${tookMs} ms`);
  } catch (error) {
    console.error(`${request.method} ${request.url} failed:`, error);
    response.destroy();
  }
}

async function answer(message: IncomingMessage): Promise<Response> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message) {
    bytes += chunk.length;
    if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
  }
  if (bytes > BODY_BYTES_MAX) {
    return new Problem(413, `A request has at most ${BODY_BYTES_MAX} bytes.`).toResponse();
  }
  const request = toRequest(message, Buffer.concat(chunks));
  return app.fetch(request, { lambdaContext: localContext(TIMEOUT_MS) });
}

function toRequest({ url = "/", method = "GET", headers }: IncomingMessage, body: Buffer): Request {
  const given = new Headers();
  for (const [name, value] of Object.entries(headers)) given.set(name, String(value));
  const hasBody = body.byteLength > 0 && method !== "GET" && method !== "HEAD";
  return new Request(`http://${HOST}${url}`, {
    method,
    headers: given,
    ...(hasBody ? { body: new Uint8Array(body) } : {}),
  });
}

/** The context of one invocation that may take `timeoutMs`. */
function localContext(timeoutMs: number): LambdaContext {
  const deadlineMs = performance.now() + timeoutMs;
  return {
    awsRequestId: randomUUID(),
    getRemainingTimeInMillis: () => Math.max(0, Math.round(deadlineMs - performance.now())),
  };
}

function greet(url: string, compactSeconds: number): void {
  const where = location.includes("://") ? location : resolve(location);
  const server = process.env["AWS_ENDPOINT_URL_S3"];
  const at = location.startsWith("s3://") && server ? ` on ${server}` : "";
  console.log(`
Listening on ${url}
Data in ${where}${at}, compacted every ${compactSeconds} s

Try it:
  curl -i -X PUT ${url}/records/task-1 -H 'content-type: application/json' -d '{"title":"Build API"}'
  curl -i ${url}/records/task-1
  curl -i ${url}/records
  curl -i -X DELETE ${url}/records/task-1

Ctrl-C stops it.
`);
}

function wholeNumber(name: string, byDefault: number, least: number, most: number): number {
  const text = process.env[name];
  if (text === undefined || text === "") return byDefault;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new Error(`${name} must be a whole number from ${least} to ${most}, found "${text}"`);
}

/** One line: what the errors of this package say, without the stacks of their causes. */
function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function isPortTaken(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}

function portTaken(port: number): Error {
  return new Error(
    `port ${port} of ${HOST} is in use: stop the program that has it, or choose another: ` +
      `PORT=${port === 3000 ? 3001 : 3000} npm start`,
  );
}
