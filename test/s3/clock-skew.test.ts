/** A machine whose clock is hours off, or is set while a store is open: the server's Date corrects it. */
import { describe, expect, test } from "vitest";
import { AccessDeniedError } from "../../src/core/errors.ts";
import { bytes, CLIENTS, ok, rejection, type Scripted, s3Error, scriptedWith } from "./support.ts";
import type { RecordedRequest, ScriptedAnswer } from "../support/recording-proxy.ts";

const HOUR_MS = 3_600_000;
/** As S3 allows. */
const SKEW_MS_MAX = 900_000;

describe.each(CLIENTS)("with the %s client:", (client) => {
  /** A server that refuses signatures made with a time far from its own. */
  async function skewed(offsetMs: () => number, answer = ok("body")): Promise<Scripted> {
    const s3: Scripted = await scriptedWith(client)(({ requestHeaders }: RecordedRequest) => {
      // The SDK signs with the machine's time.
      const nowMs = client === "SDK" ? Date.now() : s3.runtime.nowMs();
      const serverMs = nowMs + offsetMs();
      const date = new Date(serverMs).toUTCString();
      const signed = signedMs(requestHeaders["x-amz-date"]);
      const isOff = Math.abs(signed - serverMs) > SKEW_MS_MAX;
      const given = isOff ? s3Error(403, "RequestTimeTooSkewed") : answer;
      return { ...given, headers: { ...given.headers, date } };
    });
    return s3;
  }

  test.each([2 * HOUR_MS, -2 * HOUR_MS, 24 * 365 * HOUR_MS])(
    "a clock that is %i ms off costs each request under way one more attempt, and later ones none",
    async (offsetMs) => {
      await using s3 = await skewed(() => offsetMs);
      await Promise.all([s3.backend.get("a"), s3.backend.get("b")]);
      expect(s3.requests.length).toBeLessThanOrEqual(4);
      const before = s3.requests.length;
      const put = await s3.backend.put("c", bytes("c"), { ifAbsent: true });
      expect(put.status).toBe("written");
      expect(s3.requests).toHaveLength(before + 1);
    },
  );

  test("a clock that is set back and forth while requests go on is corrected each time", async () => {
    let offsetMs = 0;
    await using s3 = await skewed(() => offsetMs);
    for (const jumpMs of [0, 2 * HOUR_MS, 0, -3 * HOUR_MS]) {
      offsetMs = jumpMs;
      const put = await s3.backend.put(`at${jumpMs}`, bytes("x"), { ifAbsent: true });
      expect(put.status).toBe("written");
    }
    expect(s3.seen()).toBe("PUT 200 PUT 403 PUT 200 PUT 403 PUT 200 PUT 403 PUT 200");
  });

  test("a refusal that the server's own time does not cure is reported, with what to do", async () => {
    await using s3 = await scriptedWith(client)([s3Error(403, "RequestTimeTooSkewed")]);
    const error = await rejection(s3.backend.get("x"));
    expect(error).toBeInstanceOf(AccessDeniedError);
    expect(String(error)).toContain("set this machine's clock");
    expect(s3.requests).toHaveLength(2);
  });

  test("a HEAD, whose refusal has no body and so no name, is corrected, too", async () => {
    const isHead = (request: RecordedRequest): boolean => request.method === "HEAD";
    const seen: string[] = [];
    let refused = 0;
    const answer = (request: RecordedRequest): ScriptedAnswer => {
      seen.push(request.method);
      const date = new Date((client === "SDK" ? Date.now() : s3.runtime.nowMs()) + 2 * HOUR_MS);
      const headers = { date: date.toUTCString(), etag: '"e"' };
      const isFirst = isHead(request) && refused++ === 0;
      return { status: isFirst ? 403 : 200, body: "", headers };
    };
    const s3: Scripted = await scriptedWith(client)(answer);
    await using _s3 = s3;
    // The look before an upload of several parts.
    async function* parts(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(8 * 1024 * 1024 + 1);
    }
    const put = await s3.backend.put("large", parts(), { ifAbsent: true });
    expect(put.status).toBe("conflict");
    expect(seen).toEqual(["HEAD", "HEAD"]);
  });
});

/** "20261130T004616Z" */
function signedMs(header: unknown): number {
  const text = String(header).replace(/^(....)(..)(..T..)(..)(..Z)$/, "$1-$2-$3:$4:$5");
  return Date.parse(text);
}
