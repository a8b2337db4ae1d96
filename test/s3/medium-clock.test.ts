/** Every answer of the server tells its time, whatever else it says. */
import { describe, expect, test } from "vitest";
import { MediumClock } from "../../src/core/medium-clock.ts";
import { bytes, CLIENTS, ok, rejection, s3Error, scriptedWith } from "./support.ts";

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

function headersOf(answer: object): Record<string, string> {
  const headers: unknown = Reflect.get(answer, "headers");
  return typeof headers === "object" && headers !== null ? { ...headers } : {};
}
