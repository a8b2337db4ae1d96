/** A scripted S3 server and virtual time, for what a live server cannot be made to do. */
import type { S3ClientConfig } from "@aws-sdk/client-s3";
import { S3Client } from "@aws-sdk/client-s3";
import type { Runtime } from "../../src/core/runtime.ts";
import { S3Backend } from "../../src/s3/index.ts";
import type { S3BackendOptions } from "../../src/s3/index.ts";
import { LightS3Backend } from "../../src/s3/light/index.ts";
import type { PutResult, StorageBackend } from "../../src/storage/backend.ts";
import { recordingProxy } from "../support/recording-proxy.ts";
import type { Fault, RecordedRequest, ScriptedAnswer } from "../support/recording-proxy.ts";

export interface VirtualRuntime extends Runtime {
  /** Pauses between attempts, in order. */
  readonly pausesMs: number[];
  /** Moves the clock, and lets the time limits pass that this reaches. */
  advance(ms: number): void;
}

/** Pauses take no real time; time limits (sleeps with a signal) pass only by `advance`. */
export function virtualRuntime(): VirtualRuntime {
  const startMs = Date.UTC(2026, 0, 1);
  let nowMs = startMs;
  let limits: { readonly atMs: number; readonly pass: () => void }[] = [];
  const pausesMs: number[] = [];
  const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    if (signal !== undefined) {
      return new Promise((pass) => {
        limits.push({ atMs: nowMs + ms, pass });
        signal.addEventListener("abort", () => pass(), { once: true });
      });
    }
    pausesMs.push(ms);
    nowMs += ms;
  };
  return {
    pausesMs,
    nowMs: () => nowMs,
    wallMs: () => nowMs,
    steadyMs: () => nowMs,
    sleep,
    idle: sleep,
    randomHex: (digits) => "0123456789abcdef".repeat(digits).slice(0, digits),
    random: () => 0.5,
    advance: (ms) => {
      nowMs += ms;
      for (const { atMs, pass } of limits) if (atMs <= nowMs) pass();
      limits = limits.filter(({ atMs }) => atMs > nowMs);
    },
  };
}

export interface Scripted extends AsyncDisposable {
  readonly backend: StorageBackend;
  readonly runtime: VirtualRuntime;
  readonly requests: readonly RecordedRequest[];
  /** "PUT 200 GET 404": what was asked and answered, "-" for no answer. */
  seen(): string;
}

type Script = readonly Fault[] | ((request: RecordedRequest) => Fault | Promise<Fault>);

const CREDENTIALS = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "very-secret" };

/** Those that send the backend's requests. */
export const CLIENTS = ["SDK", "light"] as const;
type ClientName = (typeof CLIENTS)[number];

/**
 * A backend whose server gives these answers one after the other, the last one again and again.
 * `client` is more configuration of the SDK's client.
 */
type MakeScripted = (
  script: Script,
  options?: Omit<S3BackendOptions, "client">,
  client?: S3ClientConfig,
) => Promise<Scripted>;

export function scriptedWith(name: ClientName): MakeScripted {
  return (script, options = {}, client = {}) => scripted(name, script, options, client);
}

async function scripted(
  name: ClientName,
  script: Script,
  options: Omit<S3BackendOptions, "client">,
  client: S3ClientConfig,
): Promise<Scripted> {
  const proxy = await recordingProxy("http://127.0.0.1:9");
  let asked = 0;
  proxy.fault = async (request) => {
    const answer = Array.isArray(script) ? script[Math.min(asked++, script.length - 1)] : undefined;
    const fault = typeof script === "function" ? await script(request) : answer;
    return dated(fault ?? { status: 500, body: "no answer in the script" });
  };
  const runtime = virtualRuntime();
  // The light client signs with the virtual time, the SDK with the machine's.
  const dated = (fault: Fault): Fault => {
    if (name === "SDK" || typeof fault !== "object" || !("body" in fault)) return fault;
    const date = new Date(runtime.nowMs()).toUTCString();
    return { ...fault, headers: { date, ...fault.headers } };
  };
  // The environment's credentials stay out.
  const server = { endpoint: proxy.endpoint, region: "us-east-1" };
  const own = new S3Client({
    ...server,
    forcePathStyle: true,
    credentials: CREDENTIALS,
    maxAttempts: 1,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    ...client,
  });
  const backend =
    name === "SDK"
      ? new S3Backend({ client: own, runtime, ...options })
      : new LightS3Backend({ ...server, credentials: CREDENTIALS, runtime, ...options });
  await backend.initialize("s3://bucket/store", { readOnly: false });
  return {
    backend,
    runtime,
    requests: proxy.requests,
    seen: () => proxy.requests.map(({ method, status }) => `${method} ${status ?? "-"}`).join(" "),
    [Symbol.asyncDispose]: async () => {
      await backend.shutdown();
      own.destroy();
      await proxy.close();
    },
  };
}

/** An S3 error answer; `extra` is more XML, such as servers add. */
export function s3Error(status: number, code: string, extra = ""): ScriptedAnswer {
  const message = `<Message>about ${code}</Message>`;
  const body = `<Error><Code>${code}</Code>${message}${extra}</Error>`;
  return { status, body: `<?xml version="1.0"?>${body}` };
}

export function ok(body = "", headers: Record<string, string> = {}): ScriptedAnswer {
  return { status: 200, body, headers: { etag: '"etag-of-server"', ...headers } };
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function etagOf(result: PutResult): string {
  if (result.status !== "written") throw new Error(`expected written, found ${result.status}`);
  return result.etag;
}

/** The largest number of requests that were under way at once. */
export function overlapMax(requests: readonly RecordedRequest[]): number {
  const counts = requests.map(({ startOrdinal: at }) => {
    const begun = requests.filter(({ startOrdinal }) => startOrdinal <= at);
    return begun.filter(({ endOrdinal = Infinity }) => endOrdinal > at).length;
  });
  return Math.max(0, ...counts);
}

/** What `promise` rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ("error" in outcome) return outcome.error;
  throw new Error(`must reject, but gave ${JSON.stringify(outcome.value)}`);
}
