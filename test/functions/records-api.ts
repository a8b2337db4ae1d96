/** The records API as its tests call it, through events of a Function URL. */
import { MemoryBackend, Store } from "opslog-serverless";
import { expect } from "vitest";
import { type HttpResult, toHandler } from "../../functions/lambda-http.ts";
import { createRecordsApp, type RecordsOptions } from "../../functions/records-app.ts";
import { lambdaContext } from "../lambda/support.ts";
import { type HttpCall, httpEvent } from "./support.ts";

export type Send = (
  method: string,
  target: string,
  rest?: Pick<HttpCall, "body" | "isBase64Encoded" | "headers">,
) => Promise<HttpResult>;

export function api(backend = new MemoryBackend(), options: Partial<RecordsOptions> = {}): Send {
  const handler = toHandler(createRecordsApp({ location: "store", backend, ...options }));
  return (method, target, rest) => handler(httpEvent({ method, target, ...rest }), lambdaContext());
}

/** Where conditions can be written on: the store has a manifest. */
export async function withLanes<Backend extends MemoryBackend>(backend: Backend): Promise<Backend> {
  await using _store = await Store.open("store", { backend, agentId: "first" });
  return backend;
}

const JSON_TYPE = { "content-type": "application/json" };
const PROBLEM_TYPE = { "content-type": "application/problem+json" };

export function answer(statusCode: number, value: unknown): HttpResult {
  return {
    statusCode,
    headers: expect.objectContaining(JSON_TYPE),
    body: JSON.stringify(value),
  };
}

export function etagOf({ headers }: HttpResult): string {
  return String(headers?.["etag"]);
}

export async function expectProblem(
  promise: Promise<HttpResult>,
  status: number,
  detail: RegExp,
): Promise<HttpResult> {
  const result = await promise;
  expect(result).toMatchObject({ statusCode: status, headers: PROBLEM_TYPE });
  expect(JSON.parse(result.body ?? "")).toMatchObject({
    type: "about:blank",
    status,
    title: expect.any(String),
    detail: expect.stringMatching(detail),
  });
  return result;
}
