/**
 * An HTTP API of one type of record, behind a Lambda Function URL:
 *
 *     GET    /records           all records, sorted by id; ?prefix= those whose id starts with it
 *     GET    /records/{id}      the record
 *     PUT    /records/{id}      creates or replaces it; any JSON up to 1 MiB
 *     DELETE /records/{id}
 *
 * Ids are percent-encoded in the path. (An API Gateway HTTP API decodes the path before the
 * function sees it: behind one, ids that hold "/", "?" or "%" cannot be addressed.)
 */
import type { APIGatewayProxyEventV2 } from "aws-lambda";
import { type LambdaContext, withStore, type WithStoreOptions } from "opslog-serverless/lambda";
import { bodyOf, type HttpResult, json, type JsonValue, problem, problemOf } from "./http.ts";

const BODY_BYTES_MAX = 1024 * 1024;

type Call =
  | { readonly name: "list"; readonly prefix: string }
  | { readonly name: "get" | "delete"; readonly id: string }
  | { readonly name: "put"; readonly id: string; readonly value: JsonValue };

type HttpHandler = (event: APIGatewayProxyEventV2, context: LambdaContext) => Promise<HttpResult>;

export const handler = createRecordsHandler({ location: process.env["OPSLOG_LOCATION"] });

/** Requests that cannot be carried out are answered before a store is opened. */
export function createRecordsHandler(options: WithStoreOptions<JsonValue>): HttpHandler {
  const run = withStore<JsonValue, Call, HttpResult>(options, async (call, _context, store) => {
    switch (call.name) {
      case "list": {
        await store.hydrate();
        const records = store
          .entries()
          .filter(([id]) => id.startsWith(call.prefix))
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
          .map(([id, value]) => ({ id, value }));
        return json(200, { records });
      }
      case "get": {
        const value = await store.read(call.id);
        return value === undefined ? problem(404, "There is no such record.") : json(200, value);
      }
      case "put": {
        const before = await store.read(call.id);
        await store.set(call.id, call.value);
        return json(before === undefined ? 201 : 200, call.value);
      }
      case "delete":
        await store.delete(call.id);
        return { statusCode: 204 };
    }
  });
  return async (event, context) => {
    try {
      const call = parseCall(event);
      return "name" in call ? await run(call, context) : call;
    } catch (error) {
      return problemOf(error);
    }
  };
}

/** What is asked for, or the answer to a request that asks for nothing there is. */
function parseCall(event: APIGatewayProxyEventV2): Call | HttpResult {
  const method: unknown = event?.requestContext?.http?.method;
  if (typeof method !== "string" || typeof event.rawPath !== "string") {
    return problem(400, "Expected the event of a Function URL or of an HTTP API, format 2.0.");
  }
  if (event.rawPath === "/records") {
    if (method !== "GET") return notAllowed(method, "GET");
    return { name: "list", prefix: event.queryStringParameters?.["prefix"] ?? "" };
  }
  const [, encoded] = /^\/records\/([^/]+)$/.exec(event.rawPath) ?? [];
  if (encoded === undefined) return problem(404, "Expected /records or /records/{id}.");
  const id = decodeId(encoded);
  if (id === undefined) return problem(400, "The id is not percent-encoded UTF-8.");
  if (method === "GET") return { name: "get", id };
  if (method === "DELETE") return { name: "delete", id };
  return method === "PUT" ? parsePut(id, event) : notAllowed(method, "GET, PUT, DELETE");
}

function parsePut(id: string, event: APIGatewayProxyEventV2): Call | HttpResult {
  const body = bodyOf(event);
  if (body.byteLength > BODY_BYTES_MAX) {
    return problem(413, `A record has at most ${BODY_BYTES_MAX} bytes, found ${body.byteLength}.`);
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
    const value: JsonValue = JSON.parse(text);
    return { name: "put", id, value };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return problem(400, `The body is not JSON in UTF-8: ${reason}`);
  }
}

function decodeId(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

function notAllowed(method: string, allow: string): HttpResult {
  return problem(405, `${method} is not allowed here.`, { headers: { allow } });
}
