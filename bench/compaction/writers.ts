/** Writers at a steady rate, in one process, until standard input ends; then they tell what they wrote. */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { Store } from "../../src/store/store.ts";
import { median } from "../s3/figures.ts";
import { backendOf } from "./place.ts";
import type { WritersAnswer, WritersTask, Written } from "./tasks.ts";

/** Each writes these in turn. */
const IDS = 100;

const task: WritersTask = JSON.parse(process.argv[2] ?? "");
const ids: Record<string, Written> = {};
const failures: string[] = [];
const times: number[] = [];
const end = new AbortController();

async function write(store: Store, writer: number): Promise<void> {
  const everyMs = 1_000 / task.perSecond;
  // Not all at once.
  const beganMs = performance.now() + (everyMs * (writer % 97)) / 97;
  for (let n = 1; !end.signal.aborted; n++) {
    const waitMs = beganMs + n * everyMs - performance.now();
    if (waitMs > 0) await delay(waitMs);
    const id = `writer-${writer}-${n % IDS}`;
    const { acknowledged = 0 } = ids[id] ?? {};
    ids[id] = { acknowledged, sent: n };
    const sentMs = performance.now();
    try {
      await store.set(id, { n });
      ids[id] = { acknowledged: n, sent: n };
      times.push(performance.now() - sentMs);
    } catch (error) {
      failures.push(String(error));
    }
  }
  await store.close();
}

const backend = backendOf(task.location);
const stores = await Promise.all(
  Array.from({ length: task.to - task.from }, (_, at) =>
    Store.open(task.location, {
      ...task.settings,
      backend,
      agentId: `writer-${task.from + at}`,
      skipLoad: true,
      blindWrites: true,
      backlogSegments: Infinity,
    }),
  ),
);
process.stdin.resume();
void once(process.stdin, "end").then(() => end.abort());
await Promise.all(stores.map((store, at) => write(store, task.from + at)));
const slowestMs = times.reduce((most, ms) => Math.max(most, ms), 0);
const answer: WritersAnswer = {
  writes: times.length,
  failures,
  medianMs: median(times),
  slowestMs,
  ids,
};
process.stdout.write(`${JSON.stringify(answer)}\n`, () => process.exit());
