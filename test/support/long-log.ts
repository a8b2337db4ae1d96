/** Fills a store on the live S3 server with a log of many segments. */
import { MemoryBackend, Store } from "opslog-serverless";
import { LightS3Backend } from "opslog-serverless/s3/light";
import { mapParallel } from "../../src/core/parallel.ts";
import { LOG_PREFIX } from "../../src/format/paths.ts";
import { requireEndpoint } from "./live-s3.ts";

const AGENTS = 64;
const PUTS_AT_ONCE = 32;

/**
 * A segment with a record for each number, of several agents: the log of one lies in one shard. They
 * are written in memory and copied, which takes a fraction of the time.
 */
export async function writeLongLog(location: string, numbers: readonly number[]): Promise<void> {
  const memory = new MemoryBackend();
  const stores = await Promise.all(
    Array.from({ length: AGENTS }, (_, n) => {
      const options = { agentId: `agent-${n}`, skipLoad: true, blindWrites: true };
      const given = { ...options, backend: memory, backlogSegments: Infinity };
      return Store.open<number>(location, given);
    }),
  );
  for (const n of numbers) await stores[n % AGENTS]?.set(`r${n}`, n);
  for (const store of stores) await store.close();

  const paths: string[] = [];
  await memory.initialize(location, { readOnly: true });
  for await (const { objects } of memory.list(LOG_PREFIX)) {
    paths.push(...objects.map(({ path }) => path));
  }
  const backend = new LightS3Backend({ endpoint: requireEndpoint() });
  await backend.initialize(location, { readOnly: false });
  await mapParallel(paths, PUTS_AT_ONCE, async (path) => {
    const found = await memory.get(path);
    if (found.status === "found") await backend.put(path, found.body, "none");
  });
  await backend.shutdown();
}
