/** Events for handlers, and the functions bundled as they are deployed. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { APIGatewayProxyEventV2 } from "aws-lambda";

export const projectDirectory = fileURLToPath(new URL("../..", import.meta.url));

export interface HttpCall {
  readonly method: string;
  /** Path and query, as sent. */
  readonly target: string;
  readonly body?: string | undefined;
  readonly isBase64Encoded?: boolean;
  readonly headers?: Record<string, string>;
}

/** The event of a Function URL. */
export function httpEvent({
  method,
  target,
  body,
  isBase64Encoded,
  headers = {},
}: HttpCall): APIGatewayProxyEventV2 {
  const [rawPath = "", rawQueryString = ""] = target.split("?");
  const query = Object.fromEntries(new URLSearchParams(rawQueryString));
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath,
    rawQueryString,
    headers,
    ...(rawQueryString === "" ? {} : { queryStringParameters: query }),
    requestContext: {
      accountId: "anonymous",
      apiId: "abc",
      domainName: "abc.lambda-url.eu-central-1.on.aws",
      domainPrefix: "abc",
      http: { method, path: rawPath, protocol: "HTTP/1.1", sourceIp: "192.0.2.1", userAgent: "" },
      requestId: "request",
      routeKey: "$default",
      stage: "$default",
      time: "12/Mar/2026:19:03:58 +0000",
      timeEpoch: 1_773_342_238_000,
    },
    ...(body === undefined ? {} : { body }),
    isBase64Encoded: isBase64Encoded ?? false,
  };
}

/** Bundles the functions into a directory; what the bundler printed. */
export async function bundleInto(directory: string): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["esbuild.config.mjs", directory],
    { cwd: projectDirectory },
  );
  return stdout;
}

/** Runs a module in a new process, in a directory; what it printed. */
export async function runModule(
  source: string,
  directory: string,
  env: Record<string, string> = {},
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const args = ["--input-type=module", "--eval", source];
  return promisify(execFile)(process.execPath, args, { cwd: directory, env });
}
