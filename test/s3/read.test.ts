import { setImmediate } from "node:timers/promises";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import {
  AccessDeniedError,
  InvalidArgumentError,
  NotSupportedError,
  StoreNotFoundError,
  UnavailableError,
} from "../../src/core/errors.ts";
import type { S3RequestEvent } from "../../src/s3/index.ts";
import { CLIENTS, ok, rejection, s3Error, scriptedWith } from "./support.ts";

const DATE = "Thu, 01 Jan 2026 10:00:00 GMT";
const dateMs = Date.parse(DATE);

describe.each(CLIENTS)("with the %s client:", (client) => {
  const scripted = scriptedWith(client);

  test("a get returns body, size, bare etag and the server's dates", async () => {
    const modified = "Wed, 31 Dec 2025 10:00:00 GMT";
    await using s3 = await scripted([
      ok("hello", { date: DATE, etag: 'W/"abc"', "last-modified": modified }),
    ]);
    const found = await s3.backend.get("x");
    expect(found).toMatchObject({ status: "found", etag: "abc", objectBytes: 5, dateMs });
    expect(found).toMatchObject({ lastModifiedMs: Date.parse(modified) });
  });

  test("304 and 404 are results with the date of the answer", async () => {
    await using s3 = await scripted([
      { status: 304, body: "", headers: { date: DATE } },
      { ...s3Error(404, "NoSuchKey"), headers: { date: DATE } },
    ]);
    const unchanged = await s3.backend.get("x", { ifNoneMatch: "abc" });
    expect(unchanged).toEqual({ status: "unchanged", dateMs });
    expect(await s3.backend.get("x")).toEqual({ status: "absent", dateMs });
    expect(s3.requests[0]?.requestHeaders["if-none-match"]).toBe('"abc"');
  });

  test("a server that requires If-None-Match unquoted is detected, with the right result", async () => {
    await using s3 = await scripted(({ requestHeaders }) =>
      requestHeaders["if-none-match"] === "abc"
        ? { status: 304, body: "" }
        : ok("hello", { etag: '"abc"' }),
    );
    expect((await s3.backend.get("x", { ifNoneMatch: "abc" })).status).toBe("unchanged");
    expect((await s3.backend.get("x", { ifNoneMatch: "abc" })).status).toBe("unchanged");
    expect(s3.seen()).toBe("GET 200 GET 304");
  });

  test("a range past the end is found empty, with the size and etag of a HEAD", async () => {
    await using s3 = await scripted([
      s3Error(416, "InvalidRange"),
      ok("", { etag: '"abc"', "content-length": "10" }),
    ]);
    const found = await s3.backend.get("x", { range: { offset: 10, length: 5 } });
    expect(found).toMatchObject({ status: "found", etag: "abc", objectBytes: 10 });
    expect(s3.requests[0]?.requestHeaders["range"]).toBe("bytes=10-14");
  });

  test("a range is cut out of the whole body when the server ignores Range", async () => {
    await using s3 = await scripted([ok("0123456789")]);
    const found = await s3.backend.get("x", { range: { offset: 4, length: 3 } });
    if (found.status !== "found") throw new Error(found.status);
    expect(Buffer.from(found.body).toString()).toBe("456");
    expect(found.objectBytes).toBe(10);
  });

  test("a get is repeated on 5xx, throttling and broken bodies, with growing pauses", async () => {
    await using s3 = await scripted([
      s3Error(500, "InternalError"),
      s3Error(503, "SlowDown"),
      { status: 429, body: "" },
      { ...ok("hello"), cutAfterBytes: 2 },
      ok("hello"),
    ]);
    expect(await s3.backend.get("x")).toMatchObject({ status: "found", objectBytes: 5 });
    expect(s3.runtime.pausesMs).toEqual([50, 100, 200, 400]);
  });

  test("a server that has too much to do is given seconds, one that is not there is not", async () => {
    await using busy = await scripted([s3Error(503, "SlowDown")]);
    expect(await rejection(busy.backend.get("x"))).toBeInstanceOf(UnavailableError);
    expect(busy.runtime.pausesMs).toEqual([50, 100, 200, 2_500, 2_500]);
    await using broken = await scripted([s3Error(500, "InternalError")]);
    expect(await rejection(broken.backend.get("x"))).toBeInstanceOf(UnavailableError);
    expect(broken.runtime.pausesMs).toEqual([50, 100, 200, 400, 800]);
  });

  test("a get is given up after attemptsMax", async () => {
    await using s3 = await scripted([s3Error(503, "SlowDown")], { attemptsMax: 3 });
    const error = await rejection(s3.backend.get("x"));
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error).toMatchObject({ path: "x", cause: { name: "SlowDown", status: 503 } });
    expect(s3.requests).toHaveLength(3);
  });

  test("a body that stops arriving is given up and read again", async () => {
    const events: S3RequestEvent[] = [];
    const stalled = { ...ok("hello"), cutAfterBytes: 2, silentCut: true };
    await using s3 = await scripted([stalled, ok("hello")], {
      onRequest: (event) => events.push(event),
    });
    const get = s3.backend.get("x");
    while (s3.requests[0]?.status === undefined) await setImmediate();
    // The two bytes are on their way through loopback; the events tell whether they had come.
    for (let turn = 1; turn <= 100; turn++) await setImmediate();
    s3.runtime.advance(10_000);
    expect(await get).toMatchObject({ status: "found", objectBytes: 5 });
    expect(events).toMatchObject([
      { status: 200, bytesIn: 2 },
      { status: 200, bytesIn: 5 },
    ]);
  });

  test.each([
    ["NoSuchBucket", 404, StoreNotFoundError, "bucket 'bucket' does not exist. Create it"],
    ["AccessDenied", 403, AccessDeniedError, "s3:ListBucket"],
    ["InvalidAccessKeyId", 403, AccessDeniedError, "Check the credentials"],
    ["SignatureDoesNotMatch", 403, AccessDeniedError, "Check the credentials"],
    ["ExpiredToken", 400, AccessDeniedError, "Check the credentials"],
    ["AuthorizationHeaderMalformed", 400, InvalidArgumentError, "AWS_REGION"],
    ["PermanentRedirect", 301, InvalidArgumentError, "AWS_REGION"],
    ["NotImplemented", 501, NotSupportedError, "GetObject"],
  ])("%s tells what to do, and is not repeated", async (code, status, type, advice) => {
    await using s3 = await scripted([s3Error(status, code)]);
    const error = await rejection(s3.backend.get("x"));
    expect(error).toBeInstanceOf(type);
    expect(String(error)).toContain(advice);
    expect(String(error)).toContain("s3://bucket/store/x");
    expect(s3.requests).toHaveLength(1);
  });

  test("an error shows neither keys nor tokens, not even those the server echoes", async () => {
    const echo =
      "<Token-0>session-token</Token-0><CanonicalRequest>session-token</CanonicalRequest>" +
      "<AWSAccessKeyId>AKIAIOSFODNN7EXAMPLE</AWSAccessKeyId>";
    await using s3 = await scripted([s3Error(403, "SignatureDoesNotMatch", echo)]);
    const error = await rejection(s3.backend.get("x"));
    const shown = inspect(error, { depth: 20, showHidden: true });
    expect(shown).toContain("SignatureDoesNotMatch");
    for (const secret of ["session-token", "very-secret", "AKIAIOSFODNN7EXAMPLE"]) {
      expect(shown).not.toContain(secret);
    }
  });

  test("an answer without a Date is refused: the store needs the server's clock", async () => {
    await using s3 = await scripted([
      ok("hello", { date: "" }),
      { status: 304, body: "", headers: { date: "" } },
    ]);
    expect(await rejection(s3.backend.get("x"))).toBeInstanceOf(NotSupportedError);
    const unchanged = await rejection(s3.backend.get("x", { ifNoneMatch: "abc" }));
    expect(unchanged).toBeInstanceOf(NotSupportedError);
  });

  test("every HTTP attempt is reported once, with its bytes", async () => {
    const events: S3RequestEvent[] = [];
    const list = ok("<ListBucketResult></ListBucketResult>");
    const gone = { status: 204, body: "" };
    await using s3 = await scripted(
      [s3Error(500, "InternalError"), "drop-before", ok("hello"), ok(), list, gone],
      { onRequest: (event) => events.push(event) },
    );
    await s3.backend.get("x");
    await s3.backend.put("y", new Uint8Array(7), "none");
    for await (const page of s3.backend.list("dir/")) expect(page.objects).toEqual([]);
    await s3.backend.delete(["z"]);
    expect(events.map(({ kind, path, status }) => [kind, path, status])).toEqual([
      ["GET", "x", 500],
      ["GET", "x", undefined],
      ["GET", "x", 200],
      ["PUT", "y", 200],
      ["LIST", "dir/", 200],
      ["DELETE", "z", 204],
    ]);
    expect(events.map(({ bytesIn }) => bytesIn)).toEqual(s3.requests.map((r) => r.bytesDown));
    expect(events.map(({ bytesOut }) => bytesOut)).toEqual([0, 0, 0, 7, 0, 0]);
  });
});
