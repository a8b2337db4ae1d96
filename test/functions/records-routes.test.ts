/** Beyond single records: pages, preconditions, batches, history, what browsers may. */
import { compact, MemoryBackend, Store } from "opslog-serverless";
import { describe, expect, test, vi } from "vitest";
import type { JsonValue } from "../../functions/http.ts";
import type { HttpResult } from "../../functions/lambda-http.ts";
import type { RecordsOptions } from "../../functions/records-app.ts";
import { answer, api, etagOf, expectProblem, type Send, withLanes } from "./records-api.ts";

describe("pages", () => {
  /** Follows `next` to the end; ids of each page. */
  async function pagesFrom(send: Send, target: string): Promise<string[][]> {
    const pages: string[][] = [];
    let at: string | undefined = target;
    while (at !== undefined) {
      const page: HttpResult = await send("GET", at);
      const { records, next } = JSON.parse(page.body ?? "");
      pages.push(records.map(({ id }: { id: string }) => id));
      expect(page.headers?.["link"]).toBe(next && `<${next}>; rel="next"`);
      at = next;
    }
    return pages;
  }

  test("follow each other, by limit and prefix, whatever the ids", async () => {
    const send = api();
    const ids = ["a", "a ", "a/1", "a/2&x=?", "aä", "b", "日本"];
    for (const id of ids) await send("PUT", `/records/${encodeURIComponent(id)}`, { body: "1" });
    expect(await pagesFrom(send, "/records?limit=3")).toEqual([
      ids.slice(0, 3),
      ids.slice(3, 6),
      ids.slice(6),
    ]);
    expect(await pagesFrom(send, "/records?limit=1&prefix=a%2F")).toEqual([["a/1"], ["a/2&x=?"]]);
    expect(await pagesFrom(send, "/records?limit=7")).toEqual([ids]);
  });

  test("end before they are larger than Lambda can answer with", async () => {
    const send = api();
    const body = JSON.stringify("x".repeat(900_000));
    for (const id of ["a", "b", "c", "d"]) await send("PUT", `/records/${id}`, { body });
    expect(await pagesFrom(send, "/records")).toEqual([
      ["a", "b"],
      ["c", "d"],
    ]);
  });

  test("go on after a record that was deleted meanwhile", async () => {
    const send = api();
    for (const id of ["a", "b", "c"]) await send("PUT", `/records/${id}`, { body: "1" });
    const { next } = JSON.parse((await send("GET", "/records?limit=2")).body ?? "");
    await send("DELETE", "/records/b");
    expect(JSON.parse((await send("GET", next)).body ?? "").records).toEqual([
      { id: "c", value: 1 },
    ]);
  });

  test.each(["limit=0", "limit=1001", "limit=x", "limit=", "cursor=x", "cursor=MQ"])(
    "%s is refused",
    async (query) => {
      await expectProblem(api()("GET", `/records?${query}`), 400, /expected/);
    },
  );
});

describe("optimistic concurrency", () => {
  test("a record's ETag changes with each write of it, and with nothing else", async () => {
    const backend = await withLanes(new MemoryBackend());
    const send = api(backend);
    const created = await send("PUT", "/records/a", { body: '{"n": 1}' });
    const read = await send("GET", "/records/a");
    expect(etagOf(read)).toMatch(/^"[\w-]+"$/);
    expect(etagOf(created)).toBe(etagOf(read));
    const replaced = await send("PUT", "/records/a", { body: '{"n": 2}' });
    expect(etagOf(replaced)).not.toBe(etagOf(created));
    const same = await send("PUT", "/records/a", { body: '{"n": 2}' });
    expect(etagOf(same)).not.toBe(etagOf(replaced));
    await send("PUT", "/records/b", { body: '{"n": 2}' });
    await compact("store", { backend });
    const later = await send("GET", "/records/a");
    expect(etagOf(later)).toBe(etagOf(same));
    expect(etagOf(await send("GET", "/records/b"))).not.toBe(etagOf(same));
  });

  test("a migration changes the ETag, as it changes what is shown", async () => {
    const backend = await withLanes(new MemoryBackend());
    const etag = etagOf(await api(backend)("PUT", "/records/a", { body: "1" }));
    const migrate = (value: unknown): JsonValue => ({ n: Number(value) });
    const send = api(backend, { version: 2, migrate });
    const headers = { "if-none-match": etag };
    const shown = await send("GET", "/records/a", { headers });
    expect(shown).toMatchObject({ statusCode: 200, body: '{"n":1}' });
    expect(etagOf(shown)).toMatch(/^"[\w-]+\.2"$/);
    const same = await send("GET", "/records/a", { headers: { "if-none-match": etagOf(shown) } });
    expect(same.statusCode).toBe(304);
  });

  test("If-Match holds for one write, also of the same JSON", async () => {
    const send = api(await withLanes(new MemoryBackend()));
    const etag = etagOf(await send("PUT", "/records/a", { body: "1" }));
    const put = (): Promise<HttpResult> =>
      send("PUT", "/records/a", { headers: { "if-match": etag }, body: "1" });
    expect(await put()).toMatchObject({ statusCode: 200 });
    await expectProblem(put(), 412, /If-Match/);
  });

  test("GET answers 304 while the record is the same", async () => {
    const send = api(await withLanes(new MemoryBackend()));
    const etag = etagOf(await send("PUT", "/records/a", { body: "1" }));
    for (const named of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
      const same = await send("GET", "/records/a", { headers: { "if-none-match": named } });
      expect(same).toEqual({ statusCode: 304, headers: { etag } });
    }
    const other = await send("GET", "/records/a", { headers: { "if-none-match": '"x"' } });
    expect(other).toMatchObject({ statusCode: 200, body: "1" });
  });

  test.each(["PUT", "DELETE"])("%s with If-Match needs the record named", async (method) => {
    const send = api(await withLanes(new MemoryBackend()));
    const etag = etagOf(await send("PUT", "/records/a", { body: "1" }));
    const call = (named: string): Promise<HttpResult> =>
      send(method, "/records/a", { headers: { "if-match": named }, body: "2" });
    for (const wrong of ['"x"', `W/${etag}`]) {
      const refused = await expectProblem(call(wrong), 412, /If-Match/);
      expect(etagOf(refused)).toBe(etag);
    }
    expect(await send("GET", "/records/a")).toMatchObject({ body: "1" });
    const done = await call(`"x", ${etag}`);
    expect(done.statusCode).toBe(method === "PUT" ? 200 : 204);
    await expectProblem(call(etag), 412, /If-Match/);
  });

  test("If-Match is of the record that is replaced, not of an older view", async () => {
    const backend = await withLanes(new MemoryBackend());
    const send = api(backend, { freshness: { maxStaleMs: 60_000 } });
    const etag = etagOf(await send("PUT", "/records/a", { body: "1" }));
    await using other = await Store.open<JsonValue>("store", { backend, agentId: "other" });
    await other.set("a", 2);
    const call = send("PUT", "/records/a", { headers: { "if-match": etag }, body: "3" });
    const refused = await expectProblem(call, 412, /If-Match/);
    expect(etagOf(refused)).not.toBe(etag);
    const headers = { "if-match": etagOf(refused) };
    expect(await send("PUT", "/records/a", { headers, body: "3" })).toMatchObject({ body: "3" });
  });

  test("If-Match: * needs a record, If-None-Match: * none", async () => {
    const send = api(await withLanes(new MemoryBackend()));
    const put = (headers: Record<string, string>, body: string): Promise<HttpResult> =>
      send("PUT", "/records/a", { headers, body });
    await expectProblem(put({ "if-match": "*" }, "1"), 412, /If-Match/);
    expect(await put({ "if-none-match": "*" }, "2")).toMatchObject({ statusCode: 201 });
    await expectProblem(put({ "if-none-match": "*" }, "3"), 412, /If-None-Match/);
    expect(await put({ "if-match": "*" }, "4")).toMatchObject({ statusCode: 200 });
    expect(await send("GET", "/records/a")).toMatchObject({ body: "4" });
  });
});

describe("a batch", () => {
  const batch = (send: Send, ...operations: unknown[]): Promise<HttpResult> =>
    send("POST", "/records:batch", { body: JSON.stringify({ operations }) });

  test("sets and deletes, all in one flush", async () => {
    const backend = new MemoryBackend();
    const send = api(backend);
    await send("PUT", "/records/old", { body: "1" });
    const put = vi.spyOn(backend, "put");
    const done = await batch(
      send,
      { op: "set", id: "a/..", value: { n: 1 } },
      { op: "set", id: "..", value: null },
      { op: "delete", id: "old" },
    );
    expect(done).toEqual(answer(200, { operations: 3 }));
    expect(put).toHaveBeenCalledTimes(1);
    const records = [
      { id: "..", value: null },
      { id: "a/..", value: { n: 1 } },
    ];
    expect(await send("GET", "/records")).toEqual(answer(200, { records }));
  });

  test("of which one part is not possible does nothing", async () => {
    const send = api();
    const parts = [
      { op: "set", id: "a", value: 1 },
      { op: "delete", id: "absent" },
    ];
    await expectProblem(batch(send, ...parts), 404, /no such record/);
    expect(await send("GET", "/records")).toEqual(answer(200, { records: [] }));
  });

  test("may be empty", async () => {
    expect(await batch(api())).toEqual(answer(200, { operations: 0 }));
  });

  test.each([
    [{ op: "set", id: "a" }],
    [{ op: "set", id: "", value: 1 }],
    [{ op: "set", id: 7, value: 1 }],
    [{ op: "delete", id: "a", value: 1 }],
    [{ op: "add", id: "a", value: 1 }],
    ["set"],
    [null],
  ])("refuses %j, and says where", async (operation) => {
    const good = { op: "set", id: "b", value: 1 };
    await expectProblem(batch(api(), good, operation), 400, /operations\[1\]/);
  });

  test("refuses what is no batch, an id twice, and too much", async () => {
    const send = api();
    for (const body of ["[]", "{}", "1", '{"operations":{}}']) {
      await expectProblem(send("POST", "/records:batch", { body }), 400, /operations/);
    }
    const set = { op: "set", id: "a", value: 1 };
    await expectProblem(batch(send, set, { op: "delete", id: "a" }), 400, /each id once/);
    const many = Array.from({ length: 1_001 }, (_, n) => ({ ...set, id: `${n}` }));
    await expectProblem(batch(send, ...many), 400, /at most 1000/);
    expect(await batch(send, ...many.slice(1))).toMatchObject({ statusCode: 200 });
    const large = { ...set, value: "x".repeat(5 * 1024 * 1024) };
    await expectProblem(batch(send, large), 413, /at most/);
  });
});

describe("history", () => {
  test("reports the operations on a record since the last compaction", async () => {
    const backend = new MemoryBackend();
    const send = api(backend);
    const history = async (): Promise<unknown> =>
      JSON.parse((await send("GET", "/records/a%2Fb/history")).body ?? "").operations;
    await send("PUT", "/records/a%2Fb", { body: "1" });
    await send("PUT", "/records/other", { body: "1" });
    await send("PUT", "/records/a%2Fb", { body: "2" });
    await send("DELETE", "/records/a%2Fb");
    expect(await history()).toMatchObject([
      { op: "set", id: "a/b", data: 1, prev: null, agent: "request-1" },
      { op: "set", id: "a/b", data: 2, prev: 1 },
      { op: "delete", id: "a/b", prev: 2 },
    ]);
    await send("PUT", "/records/a%2Fb", { body: "3" });
    await compact("store", { backend });
    expect(await history()).toEqual([]);
    await expectProblem(send("GET", "/records/absent/history"), 404, /no such record/);
  });
});

describe("what may be stored", () => {
  test("can be set by the application", async () => {
    const validate: RecordsOptions["validate"] = (value, id) =>
      typeof value === "string" ? undefined : `${id} must be a text`;
    const send = api(new MemoryBackend(), { validate });
    await expectProblem(send("PUT", "/records/a", { body: "1" }), 422, /^a must be a text$/);
    const operations = [{ op: "set", id: "b", value: 1 }];
    const body = JSON.stringify({ operations });
    await expectProblem(send("POST", "/records:batch", { body }), 422, /^b must be a text$/);
    expect(await send("PUT", "/records/a", { body: '"x"' })).toMatchObject({ statusCode: 201 });
  });

  test("must be called JSON, if it is called anything", async () => {
    const put = (type: string): Promise<HttpResult> =>
      api()("PUT", "/records/a", { body: "1", headers: { "content-type": type } });
    await expectProblem(put("text/plain"), 415, /found text\/plain/);
    for (const type of ["application/json; charset=utf-8", "application/merge-patch+json"]) {
      expect(await put(type)).toMatchObject({ statusCode: 201 });
    }
  });
});

describe("browsers of other origins", () => {
  const headers = { origin: "https://app.example" };
  const preflight = { ...headers, "access-control-request-method": "PUT" };

  test("are not let in by default", async () => {
    const send = api();
    const read = await send("GET", "/records", { headers });
    expect(Object.keys(read.headers ?? {}).filter((name) => name.includes("allow"))).toEqual([]);
    await expectProblem(send("OPTIONS", "/records", { headers: preflight }), 405, /OPTIONS/);
  });

  test("are where they are named, also for errors", async () => {
    const send = api(new MemoryBackend(), { corsOrigins: ["https://app.example"] });
    const allowed = { "access-control-allow-origin": "https://app.example" };
    expect(await send("GET", "/records/a", { headers })).toMatchObject({
      statusCode: 404,
      headers: allowed,
    });
    const asked = await send("OPTIONS", "/records/a", { headers: preflight });
    expect(asked).toMatchObject({ statusCode: 204, headers: allowed });
    expect(asked.headers?.["access-control-allow-methods"]).toContain("PUT");
    const other = await send("GET", "/records", { headers: { origin: "https://evil.example" } });
    expect(other.headers?.["access-control-allow-origin"]).toBeUndefined();
  });
});
