/**
 * An HTTP API of one type of record; `functions/records.ts` says how it is used. Every request is
 * an invocation with a store of its own, which is opened when the request is known to be sound.
 */
import { Hono } from "hono";
import { cors } from "hono/cors";
import type { Store } from "opslog-serverless";
import { type LambdaContext, withStore, type WithStoreOptions } from "opslog-serverless/lambda";
import { ETags } from "./etag.ts";
import { json, type JsonValue, Problem, problemOf, readJson } from "./http.ts";
import { listPage, parsePage } from "./page.ts";
import { isUnchanged } from "./preconditions.ts";

const RECORD_BYTES_MAX = 1024 * 1024;
const BATCH_BYTES_MAX = 5 * 1024 * 1024;
const BATCH_OPERATIONS_MAX = 1_000;

export interface RecordsOptions extends WithStoreOptions<JsonValue> {
  /** Tells what is wrong with a record that is to be stored. Default: any JSON will do. */
  readonly validate?: ((value: JsonValue, id: string) => string | undefined) | undefined;
  /** Origins that browsers may call from, or "*". Default: none. */
  readonly corsOrigins?: readonly string[] | undefined;
}

/** `app.fetch(request, { lambdaContext })`; hono/aws-lambda passes it. */
export interface RecordsEnv {
  Bindings: { readonly lambdaContext: LambdaContext };
}

export type RecordsApp = Hono<RecordsEnv>;

type Task = (store: Store<JsonValue>) => Promise<Response>;
/** Runs a task as one invocation, with a store of its own. */
type Run = (task: Task, context: LambdaContext) => Promise<Response>;
/** @throws Problem 422 for a record that must not be stored */
type Check = (id: string, value: JsonValue) => void;

export function createRecordsApp(options: RecordsOptions): RecordsApp {
  const { validate = () => undefined, corsOrigins = [], ...storeOptions } = options;
  const run = withStore<JsonValue, Task, Response>(storeOptions, (task, _context, store) =>
    task(store),
  );
  const check: Check = (id, value) => {
    const reason = validate(value, id);
    if (reason !== undefined) throw new Problem(422, reason);
  };
  const app: RecordsApp = new Hono<RecordsEnv>();
  app.onError((error) => problemOf(error).toResponse());
  app.notFound(() => new Problem(404, PATHS).toResponse());
  if (corsOrigins.length > 0) app.use("*", corsFor(corsOrigins));
  addCollection(app, run, check);
  addRecord(app, run, check, new ETags(options.version));
  addHistory(app, run);
  refuseOthers(app);
  return app;
}

/** Several records at once: a page of them, and a batch. */
function addCollection(app: RecordsApp, run: Run, check: Check): void {
  app.get("/records", ({ req, env }) => {
    const page = parsePage(new URL(req.url).searchParams);
    return run((store) => listPage(store, page), env.lambdaContext);
  });
  app.post("/records:batch", async ({ req, env }) => {
    const operations = parseBatch(await readJson(req.raw, BATCH_BYTES_MAX));
    for (const { id, value } of operations) if (value !== undefined) check(id, value);
    return run(async (store) => {
      await store.batch(() => {
        for (const { id, value } of operations) {
          if (value === undefined) void store.delete(id);
          else void store.set(id, value);
        }
      });
      return json(200, JSON.stringify({ operations: operations.length }));
    }, env.lambdaContext);
  });
}

/** One record: read, written, deleted. */
function addRecord(app: RecordsApp, run: Run, check: Check, tags: ETags): void {
  app.get("/records/:id", ({ req, env }) => {
    const id = idOf(req.url);
    return run(async (store) => {
      const found = await tags.read(store, id);
      if (found === undefined) throw notFound();
      const { value, etag } = found;
      if (isUnchanged(req.raw.headers, etag)) {
        return new Response(null, { status: 304, headers: { etag } });
      }
      return json(200, JSON.stringify(value), { etag });
    }, env.lambdaContext);
  });
  app.put("/records/:id", async ({ req, env }) => {
    const id = idOf(req.url);
    const value = await readJson(req.raw, RECORD_BYTES_MAX);
    check(id, value);
    return run(async (store) => {
      const { before, etag } = await tags.change(store, id, req.raw.headers, () => value);
      // Only now: the store has checked that it can be written as JSON.
      const text = JSON.stringify(value);
      return json(before === undefined ? 201 : 200, text, etag === undefined ? {} : { etag });
    }, env.lambdaContext);
  });
  app.delete("/records/:id", ({ req, env }) => {
    const id = idOf(req.url);
    return run(async (store) => {
      await tags.change(store, id, req.raw.headers, (current) => {
        if (current === undefined) throw notFound();
        return undefined;
      });
      return new Response(null, { status: 204 });
    }, env.lambdaContext);
  });
}

function addHistory(app: RecordsApp, run: Run): void {
  app.get("/records/:id/history", ({ req, env }) => {
    const id = idOf(req.url);
    return run(async (store) => {
      const operations = [];
      for await (const operation of store.getWalOps()) {
        if (operation.id === id) operations.push(operation);
      }
      if (operations.length === 0 && (await store.read(id)) === undefined) throw notFound();
      return json(200, JSON.stringify({ operations }));
    }, env.lambdaContext);
  });
}

const PATHS = "Expected /records, /records:batch, /records/{id} or /records/{id}/history.";

/** Known paths with other methods. */
function refuseOthers(app: RecordsApp): void {
  const allowed = {
    "/records": "GET, HEAD",
    "/records:batch": "POST",
    "/records/:id": "GET, HEAD, PUT, DELETE",
    "/records/:id/history": "GET, HEAD",
  };
  for (const [path, allow] of Object.entries(allowed)) {
    app.all(path, ({ req }) => {
      throw new Problem(405, `${req.method} is not allowed here.`, { headers: { allow } });
    });
  }
}

function corsFor(origins: readonly string[]): ReturnType<typeof cors> {
  return cors({
    origin: origins.includes("*") ? "*" : [...origins],
    allowMethods: ["GET", "HEAD", "PUT", "POST", "DELETE"],
    allowHeaders: ["content-type", "if-match", "if-none-match"],
    exposeHeaders: ["etag", "link", "retry-after"],
    maxAge: 600,
  });
}

/** From the path as sent: what a router decodes no longer distinguishes "%2F" from "/". */
function idOf(url: string): string {
  const [, , encoded = ""] = new URL(url).pathname.split("/");
  try {
    return decodeURIComponent(encoded);
  } catch (error) {
    if (error instanceof URIError) throw new Problem(400, "The id is not percent-encoded UTF-8.");
    throw error;
  }
}

function notFound(): Problem {
  return new Problem(404, "There is no such record.", { code: "RECORD_NOT_FOUND" });
}

interface BatchOperation {
  readonly id: string;
  /** Undefined deletes. */
  readonly value: JsonValue | undefined;
}

/** @throws Problem 400 */
function parseBatch(body: JsonValue): BatchOperation[] {
  const list = isObject(body) ? body["operations"] : undefined;
  if (!Array.isArray(list) || list.length > BATCH_OPERATIONS_MAX) {
    const most = `at most ${BATCH_OPERATIONS_MAX}`;
    throw new Problem(400, `Expected {"operations": [...]} with ${most} operations.`);
  }
  const operations = list.map(parseOperation);
  if (new Set(operations.map(({ id }) => id)).size < operations.length) {
    throw new Problem(400, "A batch names each id once.");
  }
  return operations;
}

function parseOperation(operation: JsonValue, at: number): BatchOperation {
  const { op, id, value } = isObject(operation) ? operation : {};
  if (typeof id === "string" && id !== "") {
    if (op === "set" && value !== undefined) return { id, value };
    if (op === "delete" && value === undefined) return { id, value };
  }
  const expected = '{"op": "set", "id", "value"} or {"op": "delete", "id"}';
  throw new Problem(400, `operations[${at}]: expected ${expected}, with an id of some text.`);
}

function isObject(value: JsonValue): value is { [key: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
