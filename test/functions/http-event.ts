/** Events as they come from a Function URL. */
import type { APIGatewayProxyEventV2 } from "aws-lambda";

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
