import { describe, expect, test } from "vitest";
import {
  AccessDeniedError,
  NotSupportedError,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "../../src/core/errors.ts";
import { bytes, CLIENTS, ok, rejection, s3Error, scriptedWith } from "./support.ts";

const BODY = bytes("our bytes");
const ifAbsent = { ifAbsent: true } as const;
const failure = s3Error(500, "InternalError");
const taken = s3Error(412, "PreconditionFailed");

describe.each(CLIENTS)("with the %s client:", (client) => {
  const scripted = scriptedWith(client);

  describe("a create-only put", () => {
    test("that finds the name taken is a conflict after one request", async () => {
      await using s3 = await scripted([taken]);
      expect((await s3.backend.put("x", BODY, ifAbsent)).status).toBe("conflict");
      expect(s3.seen()).toBe("PUT 412");
      expect(s3.requests[0]?.requestHeaders["if-none-match"]).toBe("*");
    });

    test("is repeated with the same bytes after 409, which means that nothing landed", async () => {
      await using s3 = await scripted([s3Error(409, "ConditionalRequestConflict"), ok()]);
      const result = await s3.backend.put("x", BODY, ifAbsent);
      expect(result).toMatchObject({ status: "written", etag: "etag-of-server" });
      expect(s3.seen()).toBe("PUT 409 PUT 200");
      expect(s3.requests.map(({ bytesUp }) => bytesUp)).toEqual([BODY.length, BODY.length]);
    });

    test("whose first attempt landed unseen is written, once", async () => {
      await using s3 = await scripted([failure, taken, ok("our bytes")]);
      const result = await s3.backend.put("x", BODY, ifAbsent);
      expect(result).toMatchObject({ status: "written", etag: "etag-of-server" });
      expect(s3.seen()).toBe("PUT 500 PUT 412 GET 200");
    });

    test("after an open outcome is a conflict when other bytes are there", async () => {
      await using s3 = await scripted([failure, taken, ok("their bytes")]);
      expect((await s3.backend.put("x", BODY, ifAbsent)).status).toBe("conflict");
    });

    test("after an open outcome is unknown when nothing is there any more", async () => {
      await using s3 = await scripted([failure, taken, s3Error(404, "NoSuchKey")]);
      const error = await rejection(s3.backend.put("x", BODY, ifAbsent));
      expect(error).toBeInstanceOf(WriteOutcomeUnknownError);
      expect(error).toMatchObject({ path: "x" });
    });

    test("after an open outcome is unknown when reading back is refused", async () => {
      await using s3 = await scripted([failure, taken, s3Error(403, "AccessDenied")]);
      const error = await rejection(s3.backend.put("x", BODY, ifAbsent));
      expect(error).toBeInstanceOf(WriteOutcomeUnknownError);
    });

    if (client === "SDK")
      test("repeated by the SDK of a caller's client is read back, too", async () => {
        await using s3 = await scripted([failure, taken, ok("our bytes")], {}, { maxAttempts: 3 });
        expect((await s3.backend.put("x", BODY, ifAbsent)).status).toBe("written");
        expect(s3.seen()).toBe("PUT 500 PUT 412 GET 200");
      });

    test("answered by an error inside a 200 goes by the error's name", async () => {
      await using inside = await scripted([{ ...taken, status: 200 }]);
      expect((await inside.backend.put("x", BODY, ifAbsent)).status).toBe("conflict");
      await using open = await scripted([{ ...failure, status: 200 }, taken, ok("our bytes")]);
      expect((await open.backend.put("x", BODY, ifAbsent)).status).toBe("written");
      expect(open.seen()).toBe("PUT 200 PUT 412 GET 200");
    });
  });

  describe("a put that does not get through", () => {
    test("is unknown at the deadline when an attempt may have landed", async () => {
      await using s3 = await scripted([failure]);
      const startMs = s3.runtime.nowMs();
      const error = await rejection(s3.backend.put("x", BODY, "none"));
      expect(error).toBeInstanceOf(WriteOutcomeUnknownError);
      const tookMs = s3.runtime.nowMs() - startMs;
      expect(tookMs).toBeGreaterThan(15_000);
      expect(tookMs).toBeLessThanOrEqual(20_000);
    });

    test("ends in time although the wall clock is set back", async () => {
      await using s3 = await scripted([failure]);
      const startMs = s3.runtime.steadyMs();
      let setBackMs = 0;
      const { nowMs } = s3.runtime;
      Object.assign(s3.runtime, { nowMs: () => nowMs() - (setBackMs += 60_000) });
      const error = await rejection(s3.backend.put("x", BODY, "none"));
      expect(error).toBeInstanceOf(WriteOutcomeUnknownError);
      expect(s3.runtime.steadyMs() - startMs).toBeLessThanOrEqual(20_000);
    });

    test("is unavailable at the deadline when every attempt was turned away", async () => {
      await using s3 = await scripted([s3Error(503, "SlowDown")]);
      const startMs = s3.runtime.nowMs();
      const error = await rejection(s3.backend.put("x", BODY, "none", { timeoutMs: 1_000 }));
      expect(error).toBeInstanceOf(UnavailableError);
      expect(s3.runtime.nowMs() - startMs).toBeLessThanOrEqual(1_000);
      expect(s3.requests.length).toBeGreaterThan(2);
    });

    test("fails as what it is when refused, but as unknown after an open outcome", async () => {
      await using refused = await scripted([s3Error(403, "AccessDenied")]);
      const denied = await rejection(refused.backend.put("x", BODY, "none"));
      expect(denied).toBeInstanceOf(AccessDeniedError);
      expect(String(denied)).toContain("s3:PutObject");
      await using open = await scripted([failure, s3Error(403, "AccessDenied")]);
      const unknown = await rejection(open.backend.put("x", BODY, "none"));
      expect(unknown).toBeInstanceOf(WriteOutcomeUnknownError);
    });

    test("on a dead connection is repeated at once, and a second time after a pause", async () => {
      await using s3 = await scripted(["drop-before", "drop-before", ok()]);
      expect((await s3.backend.put("x", BODY, ifAbsent)).status).toBe("written");
      expect(s3.seen()).toBe("PUT - PUT - PUT 200");
      expect(s3.runtime.pausesMs).toHaveLength(1);
    });

    test("that hangs is given up after the request time-out and repeated", async () => {
      let hung = (): void => {};
      const hanging = new Promise<void>((resolve) => (hung = resolve));
      await using s3 = await scripted(({ startOrdinal }) => {
        if (startOrdinal > 1) return ok();
        hung();
        return "hang";
      });
      const put = s3.backend.put("x", BODY, "none");
      await hanging;
      s3.runtime.advance(10_000);
      // Each 256 bytes of body are granted a millisecond more.
      expect(s3.requests).toHaveLength(1);
      s3.runtime.advance(1);
      expect((await put).status).toBe("written");
      expect(s3.seen()).toBe("PUT - PUT 200");
    });

    test("whose answer has no Date is unknown: it landed, but cannot be dated", async () => {
      await using s3 = await scripted([ok("", { date: "" })]);
      const error = await rejection(s3.backend.put("x", BODY, "none"));
      expect(error).toBeInstanceOf(WriteOutcomeUnknownError);
      expect(String(error)).toContain("Date");
      expect(s3.requests).toHaveLength(1);
    });
  });

  describe("compare-and-swap", () => {
    const swap = { ifMatch: "etag-of-server" };

    test("of an absent key conflicts, be it answered 404 or 412", async () => {
      await using aws = await scripted([s3Error(404, "NoSuchKey")]);
      expect((await aws.backend.put("x", BODY, swap)).status).toBe("conflict");
      await using rgw = await scripted([taken, { status: 404, body: "" }]);
      expect((await rgw.backend.put("x", BODY, swap)).status).toBe("conflict");
      expect(rgw.seen()).toBe("PUT 412 HEAD 404");
    });

    test("learns the form of the etag once; from then on it costs one request", async () => {
      // Wants quotes, unlike our first guess.
      let current = "v1";
      await using s3 = await scripted(({ method, requestHeaders }) => {
        if (method === "HEAD") return ok("", { etag: `"${current}"` });
        if (requestHeaders["if-match"] !== `"${current}"`) return taken;
        current = `${current}'`;
        return ok("", { etag: `"${current}"` });
      });
      const first = await s3.backend.put("x", BODY, { ifMatch: "v1" });
      expect(first).toMatchObject({ status: "written", etag: "v1'" });
      expect(s3.seen()).toBe("PUT 412 HEAD 200 PUT 200");
      const second = await s3.backend.put("x", BODY, { ifMatch: "v1'" });
      expect(second).toMatchObject({ status: "written", etag: "v1''" });
      expect((await s3.backend.put("x", BODY, { ifMatch: "v1" })).status).toBe("conflict");
      expect(s3.seen()).toBe("PUT 412 HEAD 200 PUT 200 PUT 200 PUT 412");
    });

    test("is refused as not supported by a server that takes no form of a current etag", async () => {
      await using s3 = await scripted(({ method }) => (method === "HEAD" ? ok() : taken));
      const error = await rejection(s3.backend.put("x", BODY, swap));
      expect(error).toBeInstanceOf(NotSupportedError);
      expect(s3.requests).toHaveLength(8);
    });

    test("whose first attempt landed unseen is written", async () => {
      await using s3 = await scripted(["drop-after", taken, ok("our bytes", { etag: '"new"' })]);
      const result = await s3.backend.put("x", BODY, swap);
      expect(result).toMatchObject({ status: "written", etag: "new" });
    });

    test("after an open outcome is unknown when the key is gone", async () => {
      await using s3 = await scripted([failure, s3Error(404, "NoSuchKey")]);
      const error = await rejection(s3.backend.put("x", BODY, swap));
      expect(error).toBeInstanceOf(WriteOutcomeUnknownError);
    });
  });
});
