/** Conditional requests where the writes behind them are refused, lost or not possible yet. */
import {
  compact,
  MemoryBackend,
  Store,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "opslog-serverless";
import { describe, expect, test, vi } from "vitest";
import type { JsonValue } from "../../functions/http.ts";
import type { HttpResult } from "../../functions/lambda-http.ts";
import { parseClaimPath } from "../../src/format/paths.ts";
import { api, etagOf, expectProblem, type Send, withLanes } from "./records-api.ts";

type Put = MemoryBackend["put"];

/** What becomes of the next claims; then they are carried out. */
class Disturbed extends MemoryBackend {
  next: ((put: () => ReturnType<Put>) => ReturnType<Put>)[] = [];
  claims = 0;

  override async put(...[path, ...rest]: Parameters<Put>): ReturnType<Put> {
    const put = (): ReturnType<Put> => super.put(path, ...rest);
    if (parseClaimPath(path) === undefined) return put();
    this.claims++;
    return (this.next.shift() ?? ((carryOut) => carryOut()))(put);
  }
}

const lost = async (put: () => ReturnType<Put>): ReturnType<Put> => {
  await put();
  throw new WriteOutcomeUnknownError("the connection broke");
};
const never = async (): ReturnType<Put> => {
  throw new WriteOutcomeUnknownError("the connection broke");
};
const refused = async (): ReturnType<Put> => {
  throw new UnavailableError("busy");
};

async function disturbed(): Promise<{ backend: Disturbed; send: Send; etag: string }> {
  const backend = await withLanes(new Disturbed());
  const send = api(backend);
  const etag = etagOf(await send("PUT", "/records/a", { body: "1" }));
  backend.claims = 0;
  return { backend, send, etag };
}

/** Requests with a condition that holds, and one without any. */
const PUTS: [string, (etag: string) => Record<string, string>][] = [
  ["with If-Match", (etag) => ({ "if-match": etag })],
  ["with If-None-Match", () => ({ "if-none-match": '"x"' })],
  ["without a condition", () => ({})],
];

describe.each(PUTS)("a PUT %s", (_, headersFor) => {
  test("whose answer was lost is sent once more, and is what it was", async () => {
    const { backend, send, etag } = await disturbed();
    backend.next = [lost];
    const done = await send("PUT", "/records/a", { headers: headersFor(etag), body: "2" });
    expect(done).toMatchObject({ statusCode: 200, body: "2" });
    expect(backend.claims).toBe(2);
    const now = await send("GET", "/records/a");
    expect(now.body).toBe("2");
    expect(etagOf(done)).toBe(etagOf(now));
    const history = await send("GET", "/records/a/history");
    expect(JSON.parse(history.body ?? "").operations).toHaveLength(2);
  });

  test("of which nobody can tell what became of it is answered with 504", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const { backend, send, etag } = await disturbed();
    backend.next = [never, never];
    const put = send("PUT", "/records/a", { headers: headersFor(etag), body: "2" });
    const { body } = await expectProblem(put, 504, /may or may not/);
    expect(JSON.parse(body ?? "")).toMatchObject({ code: "OUTCOME_UNKNOWN" });
    logged.mockRestore();
  });

  test("that was refused is answered with 503", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const { backend, send, etag } = await disturbed();
    backend.next = [refused];
    const put = send("PUT", "/records/a", { headers: headersFor(etag), body: "2" });
    const { headers } = await expectProblem(put, 503, /Nothing was written/);
    expect(headers).toMatchObject({ "retry-after": "1" });
    expect((await send("GET", "/records/a")).body).toBe("1");
    logged.mockRestore();
  });
});

test("a DELETE whose answer was lost is answered once it is known", async () => {
  const { backend, send, etag } = await disturbed();
  backend.next = [lost];
  const headers = { "if-match": etag };
  expect(await send("DELETE", "/records/a", { headers })).toEqual({ statusCode: 204, headers: {} });
  await expectProblem(send("GET", "/records/a"), 404, /no such record/);
});

test("one whose number another took meanwhile is judged again by what that one wrote", async () => {
  const { backend, send, etag } = await disturbed();
  await using other = await Store.open<JsonValue>("store", { backend, agentId: "other" });
  const overtaken = async (): ReturnType<Put> => {
    await other.update("a", () => 2);
    throw new WriteOutcomeUnknownError("the connection broke");
  };
  for (const [headers, status] of [
    [{ "if-match": etag }, 412],
    [{ "if-match": "*" }, 200],
  ] as const) {
    backend.next = [overtaken];
    expect(await send("PUT", "/records/a", { headers, body: "3" })).toMatchObject({
      statusCode: status,
    });
  }
  expect((await send("GET", "/records/a")).body).toBe("3");
});

test("a write between the look and the PUT is not overwritten", async () => {
  const { backend, send, etag } = await disturbed();
  await using other = await Store.open<JsonValue>("store", { backend, agentId: "other" });
  const overtaken = async (put: () => ReturnType<Put>): ReturnType<Put> => {
    await other.update("a", () => 2);
    return put();
  };
  backend.next = [overtaken];
  const put = send("PUT", "/records/a", { headers: { "if-match": etag }, body: "3" });
  const answer = await expectProblem(put, 412, /If-Match/);
  const now = await send("GET", "/records/a");
  expect(now.body).toBe("2");
  expect(etagOf(answer)).toBe(etagOf(now));
  // Of several tags one may be of what that other wrote.
  const either = { "if-match": `"x,y" , ${etag},${etagOf(now)}` };
  expect(await send("PUT", "/records/a", { headers: either, body: "4" })).toMatchObject({
    statusCode: 200,
  });
});

test("where others write again and again, the answer is 409 in time", async () => {
  const { backend, send } = await disturbed();
  await using other = await Store.open<JsonValue>("store", { backend, agentId: "other" });
  let n = 0;
  const overtaken = async (put: () => ReturnType<Put>): ReturnType<Put> => {
    const again = backend.next;
    backend.next = [];
    await other.update("a", () => ++n);
    backend.next = again;
    return put();
  };
  backend.next = Array.from({ length: 10_000 }, () => overtaken);
  const real = performance.now.bind(performance);
  const clock = vi.spyOn(performance, "now").mockImplementation(() => real() * 50);
  const put = send("PUT", "/records/a", { headers: { "if-match": "*" }, body: '"mine"' });
  const { headers } = await expectProblem(put, 409, /again and again/);
  clock.mockRestore();
  expect(headers).toMatchObject({ "retry-after": "1" });
  backend.next = [];
  expect((await send("GET", "/records/a")).body).toBe(`${n}`);
});

test("a store without lanes refuses conditions until its first compaction", async () => {
  const backend = new MemoryBackend();
  const send = api(backend);
  const etag = etagOf(await send("PUT", "/records/a", { body: "1" }));
  const put = (headers: Record<string, string>): Promise<HttpResult> =>
    send("PUT", "/records/a", { headers, body: "2" });
  const { body, headers } = await expectProblem(put({ "if-match": etag }), 503, /compaction/);
  expect(JSON.parse(body ?? "")).toMatchObject({ code: "NOT_SUPPORTED" });
  expect(headers).toMatchObject({ "retry-after": "60" });
  expect((await send("GET", "/records/a")).body).toBe("1");
  await compact("store", { backend });
  expect(await put({ "if-match": etag })).toMatchObject({ statusCode: 200 });
});

test.each(["x", "", '"a', '"a" b', "W/a", '"a" *'])(
  "If-Match: %s is refused as no list of entity tags",
  async (named) => {
    const { send } = await disturbed();
    for (const name of ["if-match", "if-none-match"]) {
      const put = send("PUT", "/records/a", { headers: { [name]: named }, body: "2" });
      await expectProblem(put, 400, /entity tags in quotes/);
    }
    expect((await send("GET", "/records/a")).body).toBe("1");
  },
);

test("If-None-Match with tags writes over whatever they do not name", async () => {
  const { send, etag } = await disturbed();
  const put = (named: string, id = "a"): Promise<HttpResult> =>
    send("PUT", `/records/${id}`, { headers: { "if-none-match": named }, body: "2" });
  await expectProblem(put(`W/${etag}, "x"`), 412, /If-None-Match/);
  expect(await put('"x"')).toMatchObject({ statusCode: 200 });
  expect(await put(etag)).toMatchObject({ statusCode: 200 });
  expect(await put(etag, "absent")).toMatchObject({ statusCode: 201 });
});
