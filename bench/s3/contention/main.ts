/**
 * What conditional writes cost, alone and contended: `npm run bench:s3:contention -- [--calls 20]
 * [--seconds 5] [--processes 2,10,50] [--markdown FILE]`. The server is OPSLOG_TEST_S3_ENDPOINT, or one that is
 * started for it. Beside @gusto/baerly-storage where it is installed: `npm ci --prefix
 * bench/s3/contention/baerly`.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { maxOf } from "../../../src/core/bulk.ts";
import { LightS3Backend } from "../../../src/s3/light/index.ts";
import { Store } from "../../../src/store/store.ts";
import { s3Server } from "../server.ts";
import { type Figure, markdown } from "./figures.ts";
import type { Done, Job } from "./job.ts";

const CHILD = fileURLToPath(new URL("child.mjs", import.meta.url));
const BAERLY = resolve("bench/s3/contention/baerly");
const CLIENTS = 50;
const MANY_RECORDS = 1_000;
const CALLS_MAX = 1_000_000;

const { values } = parseArgs({
  options: {
    calls: { type: "string", default: "20" },
    seconds: { type: "string", default: "5" },
    processes: { type: "string", default: "2,10,50" },
    markdown: { type: "string" },
  },
});
const calls = Number(values.calls);
const seconds = Number(values.seconds);
const say = (text: string): void => void process.stderr.write(`${text}\n`);

interface Counted {
  readonly count: number;
}

class Ours {
  readonly #endpoint: string;
  readonly #bucket: string;
  readonly figures: Figure[] = [];

  constructor(endpoint: string, bucket: string) {
    this.#endpoint = endpoint;
    this.#bucket = bucket;
  }

  async open(prefix: string, agentId: string, skipLoad = true): Promise<Store<Counted>> {
    const backend = new LightS3Backend({ endpoint: this.#endpoint });
    return Store.open<Counted>(this.#location(prefix), { backend, agentId, skipLoad });
  }

  #location(prefix: string): string {
    return `s3://${this.#bucket}/${prefix}`;
  }

  /** A store with a manifest, so that it has lanes. */
  async #make(prefix: string): Promise<void> {
    await (await this.open(prefix, "first", false)).close();
  }

  /** One client, one call after the other, in a store that is open. */
  async alone(
    scenario: string,
    call: (store: Store<Counted>, n: number) => Promise<unknown>,
  ): Promise<void> {
    const prefix = scenario.replaceAll(/\W+/g, "-");
    await this.#make(prefix);
    const store = await this.open(prefix, "alone");
    await store.update("record", () => ({ count: 0 }));
    const before = store.stats().cost;
    const startedMs = performance.now();
    for (let n = 0; n < calls; n++) await call(store, n);
    const ms = performance.now() - startedMs;
    const { requests, roundTrips } = store.stats().cost;
    const spent = {
      get: requests.get - before.requests.get,
      head: requests.head - before.requests.head,
      put: requests.put - before.requests.put,
      list: requests.list - before.requests.list,
      delete: requests.delete - before.requests.delete,
    };
    await store.close();
    const trips = roundTrips - before.roundTrips;
    this.#add({ scenario, requests: spent, roundTrips: trips, calls, ms });
  }

  #add(figure: Omit<Figure, "store">): void {
    this.figures.push({ store: "ours", ...figure });
    say(`ours: ${figure.scenario}: ${figure.calls} calls in ${figure.ms.toFixed(0)} ms`);
  }

  /** Clients that share nothing: each opens the store and inserts one record. */
  async insertTogether(): Promise<void> {
    await this.#make("together");
    const startedMs = performance.now();
    const costs = await Promise.all(
      Array.from({ length: CLIENTS }, async (_, n) => {
        const store = await this.open("together", `agent-${n}`);
        await store.set(`record-${n}`, { count: n });
        const { cost } = store.stats();
        await store.close();
        return cost;
      }),
    );
    const ms = performance.now() - startedMs;
    const reader = await this.open("together", "reader", false);
    const stored = reader.count();
    await reader.close();
    const requests = { get: 0, head: 0, put: 0, list: 0, delete: 0 };
    for (const cost of costs) {
      for (const kind of ["get", "head", "put", "list", "delete"] as const) {
        requests[kind] += cost.requests[kind];
      }
    }
    const roundTrips = costs.reduce((sum, cost) => sum + cost.roundTrips, 0);
    const done = { scenario: "inserts at once", requests, roundTrips, calls: CLIENTS, ms };
    this.#add({ ...done, done: CLIENTS, stored });
  }

  /** Processes of their own, all started before the first begins. */
  async contend(call: Job["call"], processes: number, records: number): Promise<void> {
    const prefix = `${call}-${processes}-${records}`.replaceAll(/\W+/g, "-");
    await this.#make(prefix);
    const children = Array.from({ length: processes }, (_, at) => {
      const common = { location: this.#location(prefix), endpoint: this.#endpoint, call, records };
      const job: Job = { ...common, agentId: `agent-${at}`, seconds, callsMax: CALLS_MAX };
      return startChild(job);
    });
    await Promise.all(children.map(({ ready }) => ready));
    const all = await Promise.all(children.map((child) => child.go()));
    const reader = await this.open(prefix, "reader", false);
    const stored = reader.all().reduce((sum, { count }) => sum + count, 0);
    await reader.close();
    const sum = (of: (one: Done) => number): number => all.reduce((so, one) => so + of(one), 0);
    const requests = {
      get: sum((one) => one.requests.get),
      head: sum((one) => one.requests.head),
      put: sum((one) => one.requests.put),
      list: sum((one) => one.requests.list),
      delete: sum((one) => one.requests.delete),
    };
    const done = sum((one) => one.done);
    const on = records === 1 ? "one record" : `${records.toLocaleString("en")} records`;
    this.#add({
      scenario: `${call}, ${on}, ${processes} processes`,
      requests,
      roundTrips: sum((one) => one.roundTrips),
      calls: done,
      done,
      stored,
      errors: sum((one) => one.refused + one.failed),
      ms: maxOf(all.map((one) => one.ms)),
    });
    if (stored !== done) throw new Error(`${done} calls were carried out, ${stored} are counted`);
  }
}

function startChild(job: Job): { readonly ready: Promise<void>; go(): Promise<Done> } {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(job)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const line = await lines.next();
    if (line.done === true) throw new Error(`a process ended without an answer: ${job.agentId}`);
    return line.value;
  };
  return {
    ready: next().then(() => undefined),
    go: async () => {
      child.stdin.write("go\n");
      const done: Done = JSON.parse(await next());
      if (child.exitCode === null) await once(child, "close");
      return done;
    },
  };
}

async function baerly(bucket: string): Promise<Figure[]> {
  if (!existsSync(`${BAERLY}/node_modules`)) {
    say(`left out @gusto/baerly-storage: npm ci --prefix ${BAERLY}`);
    return [];
  }
  const task = JSON.stringify({ bucket, calls, clients: CLIENTS, seconds });
  const node = `${BAERLY}/node_modules/.bin/node`;
  const { stdout } = await promisify(execFile)(node, [`${BAERLY}/measure.mjs`, task]);
  const found: Record<string, Omit<Figure, "store" | "scenario">> = JSON.parse(stdout);
  return Object.entries(found).map(([scenario, figure]) => ({
    store: "baerly-storage",
    scenario,
    ...figure,
  }));
}

async function main(bucket: string, endpoint: string): Promise<Figure[]> {
  const ours = new Ours(endpoint, bucket);
  await ours.alone("insert", (store, n) => store.set(`new-${n}`, { count: n }));
  await ours.alone("read", (store) => store.read("record", { freshness: "strong" }));
  await ours.alone("update", (store) => store.update("record", plusOne));
  await ours.alone("update, fresh: false", (store) =>
    store.update("record", plusOne, { fresh: false }),
  );
  let version: string | undefined;
  await ours.alone("set over a known version", async (store) => {
    version ??= await store.versionOf("record");
    ({ version } = await store.set("record", { count: 1 }, { ifVersion: version, fresh: false }));
  });
  await ours.alone("conditional update", async (store, n) => {
    const ifVersion = await store.versionOf("record", { freshness: "strong" });
    await store.set("record", { count: n }, { ifVersion, fresh: false });
  });
  await ours.insertTogether();
  for (const processes of values.processes.split(",").map(Number)) {
    for (const records of [1, MANY_RECORDS]) {
      for (const call of ["update", "set over"] as const) {
        await ours.contend(call, processes, records);
      }
    }
  }
  return [...ours.figures, ...(await baerly(bucket))];
}

const plusOne = (now: Counted | undefined): Counted => ({ count: (now?.count ?? 0) + 1 });

process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
const [loadBefore = 0] = loadavg();
await using server = await s3Server();
// Reads the environment as it loads, and the server may have been started meanwhile.
const { liveS3Bucket } = await import("../../../test/support/live-s3.ts");
await using live = await liveS3Bucket();
const found = await main(live.bucket, server.endpoint);
const [loadAfter = 0] = loadavg();
const text = `Load average at the start and at the end: ${loadBefore.toFixed(1)}, ${loadAfter.toFixed(1)}.\n\n${markdown(found)}`;
console.log(text);
if (values.markdown !== undefined) await writeFile(values.markdown, text);
