/** Connections that are kept open for the next request. */
import type { S3Client } from "@aws-sdk/client-s3";

/**
 * Closes those of a client that no request uses; requests under way continue. After a freeze (Lambda)
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
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
