/** A server in place of Lambda's, which notes what it is asked to invoke. */
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, vi } from "vitest";

export interface Received {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface LambdaEndpoint {
  received: Received[];
  status: number;
  isSilent: boolean;
}

/** To be called where tests are declared: each has a server of its own, which the environment names. */
export function lambdaEndpoint(): LambdaEndpoint {
  const endpoint: LambdaEndpoint = { received: [], status: 202, isSilent: false };
  let server: Server;

  beforeEach(async () => {
    Object.assign(endpoint, { received: [], status: 202, isSilent: false });
    server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const { method, url, headers } = request;
        endpoint.received.push({ method, url, headers, body: Buffer.concat(parts).toString() });
        if (endpoint.isSilent) return;
        const { status } = endpoint;
        response.writeHead(status).end(status === 202 ? "" : '{"Message":"not for you"}');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    vi.stubEnv("AWS_ENDPOINT_URL_LAMBDA", `http://127.0.0.1:${port}`);
    vi.stubEnv("AWS_REGION", "eu-central-1");
    vi.stubEnv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    vi.stubEnv("AWS_SESSION_TOKEN", "token");
  });

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });
  return endpoint;
}
