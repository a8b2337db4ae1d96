import { once } from "node:events";
import { createServer } from "node:http";
import { expect, onTestFinished, test } from "vitest";
import { costOf } from "../../bench/s3/cost.ts";
import { latencyProxy, type LatencyProxy } from "../../bench/s3/proxy.ts";

const BODY_BYTES = 300_000;

/** A proxy before a server that answers with a body, or breaks the connection at `/broken`. */
async function proxied(clients = 1): Promise<LatencyProxy> {
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      if (request.url === "/broken") response.destroy();
      else response.end(request.method === "PUT" ? "" : Buffer.alloc(BODY_BYTES, "x"));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const proxy = await latencyProxy(`http://127.0.0.1:${address.port}`, 1, clients);
  onTestFinished(async () => {
    await proxy[Symbol.asyncDispose]();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return proxy;
}

async function get(endpoint: string | undefined, path = "/a"): Promise<string> {
  return (await fetch(`${endpoint}${path}`)).text();
}

test("bodies pass whole, and their bytes are counted both ways", async () => {
  const proxy = await proxied();
  const [endpoint = ""] = proxy.endpoints;
  expect(await get(endpoint)).toBe("x".repeat(BODY_BYTES));
  await fetch(`${endpoint}/b`, { method: "PUT", body: "y".repeat(1_000) });
  expect(costOf(proxy.requests)).toMatchObject({ bytesDown: BODY_BYTES, bytesUp: 1_000 });
  expect(proxy.requests.map(({ kind, status }) => [kind, status])).toEqual([
    ["GET", 200],
    ["PUT", 200],
  ]);
});

test("a request that waited for the end of another is another round trip", async () => {
  const proxy = await proxied();
  for (let n = 0; n < 20; n++) await get(proxy.endpoints[0]);
  expect(costOf(proxy.requests).trips).toBe(20);
  proxy.reset();
  expect(costOf(proxy.requests)).toMatchObject({ trips: 0, bytesDown: 0 });
});

test("requests of clients of their own do not wait for one another", async () => {
  const proxy = await proxied(3);
  for (const endpoint of proxy.endpoints) await get(endpoint);
  expect(proxy.requests.map(({ client }) => client)).toEqual([0, 1, 2]);
  expect(costOf(proxy.requests).trips).toBe(1);
});

test("a broken connection is passed on and counts as failed", async () => {
  const proxy = await proxied();
  await expect(get(proxy.endpoints[0], "/broken")).rejects.toThrow();
  expect(costOf(proxy.requests)).toMatchObject({ failed: 1, trips: 1 });
});
