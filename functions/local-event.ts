/** Between Node's HTTP server and the events and results of a Lambda Function URL. */
import { isUtf8 } from "node:buffer";
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { APIGatewayProxyEventV2 } from "aws-lambda";
import type { LambdaContext } from "opslog-serverless/lambda";
import type { HttpResult } from "./http.ts";

/** The event that a Function URL would make of the request. */
export function toEvent(request: IncomingMessage, body: Buffer): APIGatewayProxyEventV2 {
  const target = request.url ?? "/";
  const queryAt = target.includes("?") ? target.indexOf("?") : target.length;
  const rawPath = target.slice(0, queryAt);
  const rawQueryString = target.slice(queryAt + 1);
  const { cookie, ...others } = request.headers;
  const headers = Object.fromEntries(
    Object.entries(others).map(([name, value]) => [name, String(value)]),
  );
  const text = isUtf8(body);
  const now = new Date();
  const method = request.method ?? "GET";
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath,
    rawQueryString,
    headers,
    ...(cookie === undefined ? {} : { cookies: cookie.split(/; */) }),
    ...(rawQueryString === "" ? {} : { queryStringParameters: parseQuery(rawQueryString) }),
    requestContext: {
      accountId: "anonymous",
      apiId: "local",
      domainName: request.headers.host ?? "localhost",
      domainPrefix: "local",
      http: {
        method,
        path: rawPath,
        protocol: `HTTP/${request.httpVersion}`,
        sourceIp: request.socket.remoteAddress ?? "",
        userAgent: request.headers["user-agent"] ?? "",
      },
      requestId: randomUUID(),
      routeKey: "$default",
      stage: "$default",
      time: now.toISOString(),
      timeEpoch: now.getTime(),
    },
    ...(body.byteLength === 0 ? {} : { body: body.toString(text ? "utf8" : "base64") }),
    isBase64Encoded: !text,
  };
}

/** Sends what a handler returned. */
export function sendResult(response: ServerResponse, result: HttpResult): void {
  const { statusCode = 200, headers = {}, cookies, body = "", isBase64Encoded } = result;
  response.statusCode = statusCode;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, String(value));
  if (cookies !== undefined) response.setHeader("set-cookie", cookies);
  response.end(Buffer.from(body, isBase64Encoded === true ? "base64" : "utf8"));
}

/** The context of one invocation that may take `timeoutMs`. */
export function localContext(timeoutMs: number): LambdaContext {
  const deadlineMs = performance.now() + timeoutMs;
  return {
    awsRequestId: randomUUID(),
    getRemainingTimeInMillis: () => Math.max(0, Math.round(deadlineMs - performance.now())),
  };
}

/** A name given more than once has its values joined by commas. */
function parseQuery(rawQueryString: string): Record<string, string> {
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(rawQueryString)) {
    const before = parameters.get(name);
    parameters.set(name, before === undefined ? value : `${before},${value}`);
  }
  return Object.fromEntries(parameters);
}
