import {
  AccessDeniedError,
  MemoryBackend,
  type OpslogError,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "opslog-serverless";
import { describe, expect, test, vi } from "vitest";
import { type HttpResult, toHandler } from "../../functions/lambda-http.ts";
import { createRecordsApp } from "../../functions/records-app.ts";
import { lambdaContext } from "../lambda/support.ts";
import { answer, api, expectProblem } from "./records-api.ts";
import { httpEvent } from "./support.ts";

describe("records", () => {
  test("are created, replaced, read and deleted", async () => {
    const send = api();
    await expectProblem(send("GET", "/records/a"), 404, /no such record/);
    const created = await send("PUT", "/records/a", { body: '{"n": 1}' });
    expect(created).toEqual(answer(201, { n: 1 }));
    expect(await send("PUT", "/records/a", { body: "[2]" })).toEqual(answer(200, [2]));
    expect(await send("GET", "/records/a")).toEqual(answer(200, [2]));
    expect(await send("DELETE", "/records/a")).toEqual({ statusCode: 204, headers: {} });
    await expectProblem(send("GET", "/records/a"), 404, /no such record/);
    await expectProblem(send("DELETE", "/records/a"), 404, /no such record/);
  });

  test("are listed by id, all or by prefix", async () => {
    const send = api();
    expect(await send("GET", "/records")).toEqual(answer(200, { records: [] }));
    for (const id of ["b", "a%2F2", "a%2F1"]) await send("PUT", `/records/${id}`, { body: "1" });
    const inA = ["a/1", "a/2"].map((id) => ({ id, value: 1 }));
    const records = [...inA, { id: "b", value: 1 }];
    expect(await send("GET", "/records")).toEqual(answer(200, { records }));
    expect(await send("GET", "/records?prefix=a%2F")).toEqual(answer(200, { records: inA }));
    expect(await send("GET", "/records?prefix=c")).toEqual(answer(200, { records: [] }));
  });

  test.each(["ä ö/ü?#%", "__proto__", "a/../b", "日本", "a+b", "a\\b", "history", ":batch", "%2F"])(
    "may have the id %j",
    async (id) => {
      const send = api();
      const target = `/records/${encodeURIComponent(id)}`;
      await send("PUT", target, { body: '"v"' });
      expect(await send("GET", target)).toEqual(answer(200, "v"));
      expect(await send("GET", "/records")).toEqual(answer(200, { records: [{ id, value: "v" }] }));
      expect(await send("GET", `${target}/history`)).toMatchObject({ statusCode: 200 });
      expect(await send("DELETE", target)).toMatchObject({ statusCode: 204 });
    },
  );

  test.each(["null", "false", "0", '""', '{"__proto__":{"a":1}}'])("may be %s", async (body) => {
    const send = api();
    expect(await send("PUT", "/records/a", { body })).toMatchObject({ statusCode: 201, body });
    expect(await send("GET", "/records/a")).toMatchObject({ statusCode: 200, body });
  });

  test("may come in base64", async () => {
    const send = api();
    const body = Buffer.from('"é"').toString("base64");
    expect(await send("PUT", "/records/a", { body, isBase64Encoded: true })).toEqual(
      answer(201, "é"),
    );
  });

  test("have at most 1 MiB", async () => {
    const send = api();
    const body = JSON.stringify("x".repeat(1024 * 1024 - 2));
    expect(await send("PUT", "/records/a", { body })).toMatchObject({ statusCode: 201 });
    await expectProblem(send("PUT", "/records/b", { body: `${body} ` }), 413, /found 1048577/);
    await expectProblem(send("GET", "/records/b"), 404, /no such record/);
  });
});

test("HEAD answers as GET, without a body", async () => {
  const send = api();
  await send("PUT", "/records/a", { body: "1" });
  const { headers } = await send("GET", "/records/a");
  expect(await send("HEAD", "/records/a")).toEqual({ statusCode: 200, headers });
});

describe("bad requests", () => {
  test.each([undefined, "", "{", "undefined", '"a" "b"'])(
    "a body of %j is no JSON",
    async (body) => {
      await expectProblem(api()("PUT", "/records/a", { body }), 400, /not JSON/);
    },
  );

  test("a body that is not UTF-8 is refused, not changed", async () => {
    const body = Buffer.from([0x22, 0xff, 0x22]).toString("base64");
    const put = api()("PUT", "/records/a", { body, isBase64Encoded: true });
    await expectProblem(put, 400, /not JSON in UTF-8/);
  });

  test.each(["%", "%ff", "%2", "a%E0%A4%A"])("an id of %j is not percent-encoded", async (id) => {
    await expectProblem(api()("GET", `/records/${id}`), 400, /percent-encoded/);
  });

  test.each([
    "/",
    "/record",
    "/records/",
    "/records/a/b",
    "//records",
    "/RECORDS",
    "/records/..",
    "/records/a/history/b",
  ])("there is nothing at %s", async (target) => {
    await expectProblem(api()("GET", target), 404, /Expected \/records/);
  });

  test("for other methods the response lists those allowed", async () => {
    const send = api();
    const one = await expectProblem(send("POST", "/records/a", { body: "1" }), 405, /POST/);
    expect(one.headers).toMatchObject({ allow: "GET, HEAD, PUT, DELETE" });
    const all = await expectProblem(send("PUT", "/records", { body: "1" }), 405, /PUT/);
    expect(all.headers).toMatchObject({ allow: "GET, HEAD" });
    const batch = await expectProblem(send("GET", "/records:batch"), 405, /GET/);
    expect(batch.headers).toMatchObject({ allow: "POST" });
    const history = await expectProblem(send("PUT", "/records/a/history"), 405, /PUT/);
    expect(history.headers).toMatchObject({ allow: "GET, HEAD" });
  });

  test.each([{}, null, { requestContext: { http: {} } }, { source: "aws.events" }])(
    "an event like %j says what was expected",
    async (event) => {
      const handler = toHandler(
        createRecordsApp({ location: "store", backend: new MemoryBackend() }),
      );
      const call: Promise<HttpResult> = Reflect.apply(handler, undefined, [event, lambdaContext()]);
      await expectProblem(call, 400, /Function URL/);
    },
  );

  test("cost no request to the store", async () => {
    const backend = new MemoryBackend();
    const initialize = vi.spyOn(backend, "initialize");
    await api(backend)("PUT", "/records/a", { body: "{" });
    expect(initialize).not.toHaveBeenCalled();
  });
});

describe("a store that fails", () => {
  /** Fails when a write is flushed. */
  class Failing extends MemoryBackend {
    readonly #error: OpslogError;

    constructor(error: OpslogError) {
      super();
      this.#error = error;
    }

    override put(): Promise<never> {
      return Promise.reject(this.#error);
    }
  }

  test.each([
    [new UnavailableError("secret host"), 503],
    [new WriteOutcomeUnknownError("secret host"), 504],
    [new AccessDeniedError("secret host"), 500],
  ])("%s becomes %i, with its code and no internals", async (error, status) => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const send = api(new Failing(error));
    const result = await expectProblem(send("PUT", "/records/a", { body: "1" }), status, /./);
    expect(JSON.parse(result.body ?? "")).toMatchObject({ code: error.code });
    expect(JSON.stringify(result)).not.toContain("secret");
    expect(result.headers?.["retry-after"]).toBe(status === 503 ? "1" : undefined);
    expect(logged).toHaveBeenCalledWith(error);
    logged.mockRestore();
  });

  test("a missing location is an error of the setup, reported in the log", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const handler = toHandler(createRecordsApp({ location: undefined }));
    const call = handler(httpEvent({ method: "GET", target: "/records" }), lambdaContext());
    await expectProblem(call, 500, /^The request failed.$/);
    expect(String(logged.mock.calls[0]?.[0])).toContain("OPSLOG_LOCATION");
    logged.mockRestore();
  });

  test("an error that is none of the store's becomes 500 without its text", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    class Broken extends MemoryBackend {
      override async initialize(): Promise<void> {
        throw new TypeError("secret defect");
      }
    }
    const result = await expectProblem(api(new Broken())("GET", "/records"), 500, /failed/);
    expect(result.body).not.toContain("secret");
    logged.mockRestore();
  });
});

test("nesting too deep for JSON is refused", async () => {
  const depth = 200_000;
  const put = api()("PUT", "/records/a", { body: "[".repeat(depth) + "]".repeat(depth) });
  await expectProblem(put, 400, /./);
});
