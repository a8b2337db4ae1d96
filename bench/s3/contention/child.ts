/** One of the processes that write one store at once: it opens, waits for a line, and writes as long as time is. */
import { once } from "node:events";
import {
  ConditionFailedError,
  OpslogError,
  WriteOutcomeUnknownError,
} from "../../../src/core/errors.ts";
import { LightS3Backend } from "../../../src/s3/light/index.ts";
import { Store } from "../../../src/store/store.ts";
import type { Done, Job } from "./job.ts";

interface Counted {
  readonly count: number;
}

const job: Job = JSON.parse(process.argv[2] ?? "");
const store = await Store.open<Counted>(job.location, {
  backend: new LightS3Backend({ endpoint: job.endpoint }),
  agentId: job.agentId,
  skipLoad: true,
});
console.log("ready");
await once(process.stdin, "data");

const idOf = (): string => `record-${Math.floor(Math.random() * job.records)}`;
const plusOne = (now: Counted | undefined): Counted => ({ count: (now?.count ?? 0) + 1 });

async function update(): Promise<void> {
  await store.update(idOf(), plusOne, { deadlineMs: 60_000 });
}

/** As a client that holds an ETag: it reads, and writes over what it read. */
async function setOver(): Promise<void> {
  const id = idOf();
  const ifVersion = await store.versionOf(id, { freshness: "strong" });
  const value = plusOne(store.get(id));
  const condition = ifVersion === undefined ? { ifAbsent: true } : { ifVersion };
  await store.set(id, value, { ...condition, fresh: false });
}

const work = job.call === "update" ? update : setOver;
const before = store.stats().cost;
const startedMs = performance.now();
const done = { done: 0, refused: 0, failed: 0 };
while (performance.now() - startedMs < job.seconds * 1_000 && done.done < job.callsMax) {
  try {
    await work();
    done.done++;
  } catch (error) {
    if (error instanceof ConditionFailedError) done.refused++;
    else if (error instanceof WriteOutcomeUnknownError || !(error instanceof OpslogError))
      throw error;
    else done.failed++;
  }
}
const ms = performance.now() - startedMs;
const after = store.stats().cost;
await store.close();
const requests = {
  get: after.requests.get - before.requests.get,
  head: after.requests.head - before.requests.head,
  put: after.requests.put - before.requests.put,
  list: after.requests.list - before.requests.list,
  delete: after.requests.delete - before.requests.delete,
};
const told: Done = { ...done, ms, requests, roundTrips: after.roundTrips - before.roundTrips };
console.log(JSON.stringify(told));
process.stdin.destroy();
