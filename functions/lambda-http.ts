/**
 * Between Lambda and web-standard requests: events of Function URLs and of HTTP APIs (format 2.0).
 * Hono's own adapter is deprecated, and brings the events of other services along.
 */
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import type { LambdaContext } from "opslog-serverless/lambda";
import { Problem } from "./http.ts";

export type HttpResult = APIGatewayProxyStructuredResultV2;
export type HttpHandler = (
  event: APIGatewayProxyEventV2,
  context: LambdaContext,
) => Promise<HttpResult>;

interface App {
  fetch(request: Request, env: { lambdaContext: LambdaContext }): Response | Promise<Response>;
}

export function toHandler(app: App): HttpHandler {
  return async (event, context) => {
    const request = toRequest(event);
    if (request instanceof Request) {
      return toResult(await app.fetch(request, { lambdaContext: context }));
    }
    return toResult(request.toResponse());
  };
}

function toRequest(event: APIGatewayProxyEventV2): Request | Problem {
  const method: unknown = event?.requestContext?.http?.method;
  if (typeof method !== "string" || typeof event.rawPath !== "string") {
    const expected = "the event of a Function URL or of an HTTP API, format 2.0";
    return new Problem(400, `Expected ${expected}.`);
  }
  const { rawPath, rawQueryString, body, isBase64Encoded, requestContext } = event;
  const query = !rawQueryString ? "" : `?${rawQueryString}`;
  const hasBody = body !== undefined && method !== "GET" && method !== "HEAD";
  try {
    const headers = new Headers();
    for (const [name, value] of Object.entries(event.headers ?? {})) {
      if (value !== undefined) headers.set(name, value);
    }
    return new Request(`https://${requestContext.domainName ?? "localhost"}${rawPath}${query}`, {
      method,
      headers,
      ...(hasBody ? { body: Buffer.from(body, isBase64Encoded ? "base64" : "utf8") } : {}),
    });
  } catch (error) {
    // A path, method or header that no HTTP request can have.
    if (error instanceof TypeError) return new Problem(400, "The event is no HTTP request.");
    throw error;
  }
}

/** Every answer of the app is text. */
async function toResult(response: Response): Promise<HttpResult> {
  const { status: statusCode, headers } = response;
  const body = await response.text();
  return { statusCode, headers: Object.fromEntries(headers), ...(body === "" ? {} : { body }) };
}
