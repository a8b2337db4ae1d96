/** Every answer of the server tells its time, whatever else it says. */
import { Readable } from "node:stream";
import { setTimeout } from "node:timers/promises";
import { S3Client } from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { Deferred } from "../../src/core/deferred.ts";
import { UnavailableError } from "../../src/core/errors.ts";
import { MediumClock } from "../../src/core/medium-clock.ts";
import { S3Backend } from "../../src/s3/index.ts";
import { bytes, CLIENTS, ok, rejection, s3Error, scriptedWith, virtualRuntime } from "./support.ts";

/** What the server's clock is ahead of the client's, which is as far as it may be and still sign. */
const AHEAD_MS = 240_000;

const ANSWERS = [
  ["200", ok("body")],
  ["304", { status: 304, body: "" }],
  ["404", s3Error(404, "NoSuchKey")],
  ["403", s3Error(403, "AccessDenied")],
  ["503", s3Error(503, "SlowDown")],
] as const;

describe.each(CLIENTS)("the %s client", (name) => {
  test.each(ANSWERS)("learns the server's time from a %s", async (_status, answer) => {
    const date = (nowMs: number): string => new Date(nowMs + AHEAD_MS).toUTCString();
    let nowMs = 0;
    const script = () => ({ ...answer, headers: { ...headersOf(answer), date: date(nowMs) } });
    await using s3 = await scriptedWith(name)(script, { attemptsMax: 1 });
    nowMs = s3.runtime.nowMs();
    const { clock } = s3.backend;
    expect(clock).toBeInstanceOf(MediumClock);
    expect(clock?.estimateMs()).toBe(0);
    await rejection(
      s3.backend.get("a", { ifNoneMatch: "x" }).then(() => Promise.reject(new Error("answered"))),
    );
    // The virtual clock stands still in a request: half of the second that a date leaves open.
    expect(Math.abs((clock?.estimateMs() ?? 0) - nowMs - AHEAD_MS)).toBeLessThanOrEqual(1_000);
  });

  test("learns nothing from an answer without a date, and from a write as from a read", async () => {
    const script = [ok("", { date: "" }), ok()];
    await using s3 = await scriptedWith(name)(script, { attemptsMax: 1 });
    await rejection(s3.backend.get("a").then(() => Promise.reject(new Error("answered"))));
    const before = s3.backend.clock?.estimateMs();
    await s3.backend.put("a", bytes("x"), { ifAbsent: true });
    expect([before, (s3.backend.clock?.estimateMs() ?? 0) > 0]).toEqual([0, true]);
  });
});

test("nothing is learnt from an answer that a client reports after it was given up", async () => {
  const runtime = virtualRuntime();
  const [asked, answer] = [new Deferred(), new Deferred()];
  // Of those that a program may bring along, some take no notice of a signal.
  const handle = async (): Promise<unknown> => {
    asked.resolve();
    await answer.promise;
    const headers = { date: new Date(runtime.nowMs()).toUTCString() };
    return { response: { statusCode: 200, reason: "OK", headers, body: Readable.from([]) } };
  };
  const requestHandler = { handle } as unknown as S3Client["config"]["requestHandler"];
  const credentials = { accessKeyId: "id", secretAccessKey: "secret" };
  const client = new S3Client({ region: "us-east-1", credentials, requestHandler });
  const given = { client, bucket: "bucket", requestTimeoutMs: 100, attemptsMax: 1, runtime };
  const backend = new S3Backend(given);
  await backend.initialize("", { readOnly: false });
  const failed = rejection(backend.get("a"));
  await asked.promise;
  runtime.advance(100);
  expect(await failed).toBeInstanceOf(UnavailableError);
  runtime.advance(20_000);
  answer.resolve();
  await setTimeout(20);
  expect(backend.clock.estimateMs()).toBe(0);
});

function headersOf(answer: object): Record<string, string> {
  const headers: unknown = Reflect.get(answer, "headers");
  return typeof headers === "object" && headers !== null ? { ...headers } : {};
}
