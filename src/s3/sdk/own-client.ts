/** The client of the SDK that the backend makes itself, and connections that a client keeps open. */
import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import { endpointOfEnvironment } from "../requests/endpoint.ts";
import type { S3Settings } from "../requests/options.ts";

/**
 * A client that sends each request once: repeating is the backend's task, which must see every
 * attempt of a conditional write. The time limit of a request, too, is the backend's, because it
 * must also hold while a body arrives and with a caller's client.
 */
export function createClient(settings: S3Settings): S3Client {
  const custom = settings.endpoint ?? endpointOfEnvironment();
  const agent = { keepAlive: true, maxSockets: settings.maxSockets };
  const config: S3ClientConfig = {
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: settings.connectTimeoutMs,
      httpAgent: agent,
      httpsAgent: agent,
    },
  };
  if (settings.region !== undefined) config.region = settings.region;
  if (settings.endpoint !== undefined) config.endpoint = settings.endpoint;
  const forcePathStyle = settings.forcePathStyle ?? (custom === undefined ? undefined : true);
  if (forcePathStyle !== undefined) config.forcePathStyle = forcePathStyle;
  if (custom !== undefined) {
    // The SDK's default CRC32 makes many S3-compatible servers answer 501 or 400.
    config.requestChecksumCalculation = "WHEN_REQUIRED";
    config.responseChecksumValidation = "WHEN_REQUIRED";
  }
  const client = new S3Client(config);
  if (custom === undefined) followConfiguredEndpoint(client, forcePathStyle);
  return client;
}

/** An `endpoint_url` of the AWS config file is known only once the SDK has read that. */
function followConfiguredEndpoint(client: S3Client, forcePathStyle: boolean | undefined): void {
  const { config } = client;
  const isConfigured = async (): Promise<boolean> =>
    (await config.serviceConfiguredEndpoint?.()) !== undefined;
  const { requestChecksumCalculation, responseChecksumValidation } = config;
  const unlessConfigured = (value: typeof requestChecksumCalculation): typeof value => {
    return async () => ((await isConfigured()) ? "WHEN_REQUIRED" : value());
  };
  Object.assign(config, {
    ...(forcePathStyle === undefined ? { forcePathStyle: isConfigured } : {}),
    requestChecksumCalculation: unlessConfigured(requestChecksumCalculation),
    responseChecksumValidation: unlessConfigured(responseChecksumValidation),
  });
}

/**
 * Closes the connections of a client that no request uses; requests under way continue. After a freeze (Lambda)
 * all of them may be dead, and a request that is repeated would try one after the other. A client
 * without Node's agents (fetch, a stub in a test) has none.
 */
export async function closeIdleSockets(client: S3Client): Promise<void> {
  const handler = field(field(client, "config"), "requestHandler");
  const configs = field(handler, "httpHandlerConfigs");
  if (typeof configs !== "function") return;
  const agents: unknown = Reflect.apply(configs, handler, []);
  for (const name of ["httpAgent", "httpsAgent"]) {
    const idle = field(await field(agents, name), "freeSockets");
    for (const socket of Object.values(Object(idle)).flat()) {
      const destroy = field(socket, "destroy");
      if (typeof destroy === "function") Reflect.apply(destroy, socket, []);
    }
  }
}

function field(value: unknown, name: string): unknown {
  return Reflect.get(Object(value), name);
}
