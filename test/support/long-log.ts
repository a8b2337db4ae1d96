/** Fills a store on the live S3 server with a log of many segments. */
import { Store } from "opslog-serverless";
import { LightS3Backend } from "opslog-serverless/s3/light";
import { mapParallel } from "../../src/core/parallel.ts";
import { requireEndpoint } from "./live-s3.ts";

const AGENTS = 64;

/** A segment with a record for each number, of as many agents as write at once. */
export async function writeLongLog(location: string, numbers: readonly number[]): Promise<void> {
  const agents = Array.from({ length: Math.min(AGENTS, numbers.length) }, (_, n) => n);
  await mapParallel(agents, AGENTS, async (agent) => {
    const backend = new LightS3Backend({ endpoint: requireEndpoint() });
    const options = { agentId: `agent-${agent}`, skipLoad: true, blindWrites: true };
    const given = { ...options, backend, backlogSegments: Infinity };
    await using store = await Store.open<number>(location, given);
    for (let n = agent; n < numbers.length; n += AGENTS) await store.set(`r${n}`, n);
  });
}
