/** A deadline ends retries; connections that died while a process was frozen cost one attempt. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { Socket } from "node:net";
import { S3Client } from "@aws-sdk/client-s3";
import { UnavailableError } from "opslog-serverless";
import { expect, test } from "vitest";
import { S3Backend } from "../../src/s3/index.ts";
import { LightS3Backend } from "../../src/s3/light/index.ts";
import { Deadline } from "../../src/storage/deadline.ts";
import { DeadlineBackend } from "../../src/storage/deadline-backend.ts";
import { manualRuntime } from "../support/manual-runtime.ts";
import {
  bytes,
  CLIENTS,
  rejection,
  s3Error,
  type Scripted,
  scriptedWith,
  virtualRuntime,
} from "./support.ts";

const scripted = scriptedWith("SDK");

/** Pauses between attempts only move the clock; time limits, which are longer, stay. */
function quickPauses({ runtime }: Scripted, limitMs: number): number[] {
  const pausesMs: number[] = [];
  const { sleep } = runtime;
  runtime.sleep = async (ms, signal) => {
    if (ms >= limitMs) return sleep(ms, signal);
    pausesMs.push(ms);
    runtime.advance(ms);
  };
  return pausesMs;
}

test("retries of a read end with the deadline, and nothing is sent after it", async () => {
  const clock = manualRuntime();
  const endMs = clock.nowMs() + 1_000;
  const deadline = new Deadline(clock, () => endMs - clock.nowMs());
  let asked = 0;
  await using server = await scripted(
    async () => {
      asked++;
      if (asked === 2) await clock.advance(1_000);
      return s3Error(503, "SlowDown");
    },
    { attemptsMax: 1_000 },
  );
  const backend = new DeadlineBackend(server.backend, deadline);
  quickPauses(server, 3_000);
  const error = await rejection(backend.get("a"));
  expect(error).toBeInstanceOf(UnavailableError);
  expect(String(error)).toMatch(/get a was not answered before the deadline/);
  await new Promise((next) => setImmediate(next));
  expect(asked).toBe(2);
  expect(await rejection(backend.get("a"))).toBeInstanceOf(UnavailableError);
  expect(asked).toBe(2);
});

test("a PUT has no more time than the deadline leaves; its own verdict counts", async () => {
  const clock = manualRuntime();
  const deadline = new Deadline(clock, () => 300);
  await using server = await scripted(() => s3Error(503, "SlowDown"));
  const pausesMs = quickPauses(server, 1_000);
  const backend = new DeadlineBackend(server.backend, deadline);
  const error = await rejection(backend.put("a", bytes("x"), { ifAbsent: true }));
  expect(error).toBeInstanceOf(UnavailableError);
  expect(String(error)).toContain("SlowDown");
  expect(pausesMs.reduce((sum, ms) => sum + ms, 0)).toBeLessThanOrEqual(300);
  deadline.stop();
});

/** A server whose kept-alive connections can all die at once, as while a process is frozen. */
async function mortalServer(): Promise<
  AsyncDisposable & { endpoint: string; freeze(): void; connections: number; requests: number }
> {
  const sockets = new Map<Socket, "alive" | "dead">();
  const state = { requests: 0 };
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    state.requests++;
    const { socket } = request;
    // The client learns of it only by using it.
    if (sockets.get(socket) === "dead") return void socket.destroy();
    request.resume().on("end", () => {
      response.setHeader("etag", '"1"');
      response.end(request.method === "GET" ? "x" : "");
    });
  };
  const server = createServer({ keepAliveTimeout: 0 }, answer).on("connection", (socket) =>
    sockets.set(socket, "alive"),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    freeze: () => {
      for (const socket of sockets.keys()) sockets.set(socket, "dead");
    },
    get connections() {
      return sockets.size;
    },
    get requests() {
      return state.requests;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

test.each(CLIENTS)(
  "a connection that was idle for long is not used again (%s client)",
  async (name) => {
    await using server = await mortalServer();
    const { endpoint } = server;
    const credentials = { accessKeyId: "id", secretAccessKey: "secret" };
    const runtime = virtualRuntime();
    const client = new S3Client({
      endpoint,
      region: "us-east-1",
      forcePathStyle: true,
      credentials,
    });
    const backend =
      name === "SDK"
        ? new S3Backend({ client, runtime })
        : new LightS3Backend({ endpoint, region: "us-east-1", credentials, runtime });
    await backend.initialize("s3://bucket/store", { readOnly: false });
    await backend.get("a");
    runtime.advance(20_000);
    await backend.get("a");
    expect([server.requests, server.connections]).toEqual([2, 1]);
    server.freeze();
    runtime.advance(20_001);
    expect((await backend.get("a")).status).toBe("found");
    expect([server.requests, server.connections]).toEqual([3, 2]);
    await backend.shutdown();
    client.destroy();
  },
);

test.each([
  ["get", "SDK"],
  ["put", "SDK"],
  ["get", "light"],
  ["put", "light"],
] as const)(
  "after a freeze a %s fails once, then uses a new connection (%s client)",
  async (verb, name) => {
    await using server = await mortalServer();
    const { endpoint } = server;
    const credentials = { accessKeyId: "id", secretAccessKey: "secret" };
    const client = new S3Client({
      endpoint,
      region: "us-east-1",
      forcePathStyle: true,
      credentials,
      maxAttempts: 1,
      requestChecksumCalculation: "WHEN_REQUIRED",
    });
    const backend =
      name === "SDK"
        ? new S3Backend({ client })
        : new LightS3Backend({ endpoint, region: "us-east-1", credentials });
    await backend.initialize("s3://bucket/store", { readOnly: false });
    // More idle connections than a read has attempts.
    await Promise.all(Array.from({ length: 20 }, () => backend.get("a")));
    const { connections, requests } = server;
    expect(connections).toBeGreaterThan(6);
    server.freeze();

    const result = await (verb === "get"
      ? backend.get("a")
      : backend.put("a", bytes("x"), { ifAbsent: true }));
    expect(result.status).toBe(verb === "get" ? "found" : "written");
    expect([server.requests - requests, server.connections - connections]).toEqual([2, 1]);
    await backend.shutdown();
    client.destroy();
  },
);
