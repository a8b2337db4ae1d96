/** What the HTTP functions share: bodies, answers, and errors as answers (RFC 9457). */
import { STATUS_CODES } from "node:http";
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import { OpslogError } from "opslog-serverless";

export type HttpResult = APIGatewayProxyStructuredResultV2;

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | JsonValue[]
  | { [key: string]: JsonValue };

export function json(statusCode: number, value: JsonValue): HttpResult {
  return {
    statusCode,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(value),
  };
}

export function problem(
  status: number,
  detail: string,
  { code, headers }: { code?: string; headers?: Record<string, string> } = {},
): HttpResult {
  const title = STATUS_CODES[status] ?? "Error";
  return {
    statusCode: status,
    headers: { "content-type": "application/problem+json", ...headers },
    body: JSON.stringify({ type: "about:blank", title, status, detail, code }),
  };
}

/** An error as an answer. What went wrong inside is for the log alone. */
export function problemOf(error: unknown): HttpResult {
  if (error instanceof OpslogError) {
    const { code } = error;
    if (code === "RECORD_NOT_FOUND") return problem(404, "There is no such record.", { code });
    if (code === "INVALID_ARGUMENT" && error.id !== undefined) {
      return problem(400, error.message, { code });
    }
  }
  console.error(error);
  if (!(error instanceof OpslogError)) return problem(500, "The request failed.");
  const { code, action } = error;
  if (action === "retry") {
    const headers = { "retry-after": "1" };
    return problem(503, "Nothing was written; try again.", { code, headers });
  }
  if (action === "outcome-unknown") {
    return problem(504, "The write may or may not take effect: read, then decide.", { code });
  }
  return problem(500, "The request failed.", { code });
}

/** The bytes of the body, whichever way the event carries them. */
export function bodyOf({ body = "", isBase64Encoded }: APIGatewayProxyEventV2): Buffer {
  return Buffer.from(body, isBase64Encoded ? "base64" : "utf8");
}
