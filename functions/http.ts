/** What the HTTP functions share: bodies, answers, and errors as answers (RFC 9457). */
import { STATUS_CODES } from "node:http";
import { OpslogError } from "opslog-serverless";

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | JsonValue[]
  | { [key: string]: JsonValue };

/** A request that cannot be carried out; thrown, it becomes the answer. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string | undefined;
  readonly headers: Readonly<Record<string, string>>;

  /** @param detail for the client, so without internals */
  constructor(
    status: number,
    detail: string,
    { code, headers = {} }: { code?: string; headers?: Record<string, string> } = {},
  ) {
    super(detail);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }

  toResponse(): Response {
    const { status, message: detail, code } = this;
    const title = STATUS_CODES[status] ?? "Error";
    const headers = { "content-type": "application/problem+json", ...this.headers };
    const body = JSON.stringify({ type: "about:blank", title, status, detail, code });
    return new Response(body, { status, headers });
  }
}

/** An error as an answer. What went wrong inside is for the log alone. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof OpslogError) {
    const { code } = error;
    if (code === "RECORD_NOT_FOUND") return new Problem(404, "There is no such record.", { code });
    if (code === "INVALID_ARGUMENT" && error.id !== undefined) {
      return new Problem(400, error.message, { code });
    }
  }
  console.error(error);
  if (!(error instanceof OpslogError)) return new Problem(500, "The request failed.");
  const { code, action } = error;
  if (action === "retry") {
    const headers = { "retry-after": "1" };
    const status = code === "CONFLICT" ? 409 : 503;
    return new Problem(status, "Nothing was written; try again.", { code, headers });
  }
  if (action === "outcome-unknown") {
    return new Problem(504, "The write may or may not take effect: read, then decide.", { code });
  }
  return new Problem(500, "The request failed.", { code });
}

export function json(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(text, {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
}

/** The JSON of a body. @throws Problem: 413, 415, or 400 for what is no JSON in UTF-8 */
export async function readJson(request: Request, bytesMax: number): Promise<JsonValue> {
  const type = request.headers.get("content-type");
  if (type !== null && !/^application\/([\w.+-]+\+)?json\b/i.test(type)) {
    throw new Problem(415, `Expected content-type application/json, found ${type}.`);
  }
  const body = await request.arrayBuffer();
  if (body.byteLength > bytesMax) {
    throw new Problem(413, `The body has at most ${bytesMax} bytes, found ${body.byteLength}.`);
  }
  try {
    const value: JsonValue = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
    return value;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Problem(400, `The body is not JSON in UTF-8: ${reason}`);
  }
}
