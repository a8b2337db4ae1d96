/**
 * What calls cost on S3 and how long they take, ours beside the original: `npm run bench:s3 --
 * [--rounds 3] [--max-records 1000000] [--latency-ms 30] [--json FILE] [--plots DIR]
 * [--results FILE]`. The server is OPSLOG_TEST_S3_ENDPOINT, or one that is started for it.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { cpus, loadavg, totalmem } from "node:os";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { append } from "../../src/core/bulk.ts";
import { commit } from "../commit.ts";
import { table, type Row } from "./figures.ts";
import { latencyProxy } from "./proxy.ts";
import { coldReadPlots, resultsMarkdown, type Setting } from "./report.ts";
import { makeRunner, type Runner } from "./runner.ts";
import { s3Server } from "./server.ts";
import { ENGINES, type EngineName, type Place } from "./tasks.ts";

const SIZES = [1_000, 10_000, 100_000, 1_000_000];
/** Stores in which calls are measured that do not depend on their size, or badly. */
const SMALL = 1_000;
const MEDIUM = 10_000;
const LARGE = 100_000;
const CONCURRENT_WRITERS = 50;
const LOG_WRITES = [500, 3_000];
/** Making thousands of objects takes as long as a large store: a quick run does without. */
const LOG_SHARE_MAX = 0.1;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    "max-records": { type: "string", default: "1000000" },
    "latency-ms": { type: "string", default: "30" },
    json: { type: "string" },
    plots: { type: "string" },
    results: { type: "string" },
  },
});
const rounds = positive("rounds", values.rounds);
const recordsMax = Math.max(SMALL, positive("max-records", values["max-records"]));
const latencyMs = positive("latency-ms", values["latency-ms"]);
const say = (text: string): void => void process.stderr.write(`${text}\n`);

function positive(name: string, value: string): number {
  const number = Number(value);
  if (Number.isInteger(number) && number > 0) return number;
  throw new Error(`--${name}: expected a positive integer, found ${value}`);
}

const shown = (records: number): string => records.toLocaleString("en");

/** A bucket of its own, which is deleted with all it holds. */
async function inBucket<R>(act: (bucket: string) => Promise<R>): Promise<R> {
  // Reads the environment as it loads, and the server may have been started meanwhile.
  const { liveS3Bucket } = await import("../../test/support/live-s3.ts");
  await using live = await liveS3Bucket();
  return await act(live.bucket);
}

async function pointReads(runner: Runner, records: number): Promise<Row[]> {
  return inBucket(async (bucket) => {
    for (const engine of ENGINES) {
      say(`making a store of ${shown(records)} records: ${engine}`);
      await runner.prepare(engine, { bucket, prefix: engine }, { name: "fill", records });
    }
    const at = (engine: EngineName): Promise<Place> => Promise.resolve({ bucket, prefix: engine });
    const size = `${shown(records)} records`;
    const reads = await runner.compare(
      [
        {
          task: { name: "point-read", records },
          labels: [
            { section: "cold", scenario: coldRead(records) },
            { section: "warm", scenario: `warm read, ${size}` },
            { section: "invocation", scenario: `warm invocation that reads, ${size}` },
          ],
        },
      ],
      at,
    );
    if (records !== Math.min(LARGE, recordsMax)) return reads;
    const many = (neighbours: boolean) => ({ name: "read-many", records, neighbours }) as const;
    const others = await runner.compare(
      [
        { task: many(true), labels: cold(`cold readMany of 100 neighbours, ${size}`) },
        { task: many(false), labels: cold(`cold readMany of 100 scattered ids, ${size}`) },
        { task: { name: "scan", records }, labels: cold(`cold scan of 1,000 by prefix, ${size}`) },
      ],
      at,
    );
    return [...reads, ...others];
  });
}

const coldRead = (records: number): string => `cold read, ${shown(records)} records`;
const cold = (scenario: string, operations = 1) => [{ section: "cold", scenario, operations }];

/** A new store for every round, because these change it. */
async function writes(runner: Runner): Promise<Row[]> {
  return inBucket(async (bucket) => {
    const fresh =
      (kind: string, records: number) =>
      async (engine: EngineName, round: number): Promise<Place> => {
        const place = { bucket, prefix: `${kind}-${engine}-${round}` };
        await runner.prepare(engine, place, { name: "fill", records });
        return place;
      };
    const medium = Math.min(MEDIUM, recordsMax);
    const size = `${shown(medium)} records`;
    const written = await runner.compare(
      [{ task: { name: "cold-write" }, labels: cold(`cold write, ${size}`) }],
      fresh("write", medium),
    );
    const refreshed = await runner.compare(
      [
        {
          task: { name: "refresh" },
          labels: [{ section: "warm", scenario: `refresh after a foreign write, ${size}` }],
        },
      ],
      fresh("refresh", medium),
    );
    const writers = CONCURRENT_WRITERS;
    const concurrent = await runner.compare(
      [
        {
          task: { name: "concurrent-writers", writers },
          labels: cold(`${writers} concurrent cold writers, ${shown(SMALL)} records`, writers),
        },
      ],
      fresh("writers", SMALL),
    );
    return [...written, ...refreshed, ...concurrent];
  });
}

async function logs(runner: Runner, count: number): Promise<Row[]> {
  return inBucket(async (bucket) => {
    const records = SMALL;
    const log = { records, writes: count };
    const shownLog = `${shown(count)} uncompacted writes`;
    return runner.compare(
      [
        {
          task: { name: "open-log", ...log },
          labels: cold(`open with ${shownLog}, read one of them`),
        },
        {
          task: { name: "open-log-eager", ...log },
          labels: cold(`open with ${shownLog}, all resident`),
        },
        {
          task: { name: "compact-log", ...log },
          labels: cold(`compaction of ${shownLog}`, count),
        },
      ],
      async (engine, round) => {
        const place = { bucket, prefix: `log-${engine}-${round}` };
        await runner.prepare(engine, place, { name: "fill", records });
        await runner.prepare(engine, place, { name: "log", writes: count });
        return place;
      },
    );
  });
}

async function runAll(runner: Runner): Promise<Row[]> {
  const rows: Row[] = [];
  for (const records of SIZES.filter((size) => size <= recordsMax)) {
    append(rows, await pointReads(runner, records));
  }
  append(rows, await writes(runner));
  for (const count of LOG_WRITES) {
    if (count <= recordsMax * LOG_SHARE_MAX) append(rows, await logs(runner, count));
    else
      say(
        `${shown(count)} uncompacted writes: left out below --max-records ${count / LOG_SHARE_MAX}`,
      );
  }
  return rows;
}

async function version(name: string): Promise<string> {
  const path = name === "opslog-serverless" ? "package.json" : `node_modules/${name}/package.json`;
  const found: { version: string } = JSON.parse(await readFile(path, "utf8"));
  return found.version;
}

async function describeSetting(loads: readonly number[], server: string): Promise<Setting> {
  const ours = `${await version("opslog-serverless")} (commit ${commit()})`;
  const names = ["@backloghq/opslog", "@backloghq/opslog-s3", "@aws-sdk/client-s3"];
  const others = await Promise.all(names.map(async (name) => [name, await version(name)] as const));
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  return {
    date: new Date().toISOString().slice(0, 10),
    command: ["npm run bench:s3 --", ...process.argv.slice(2)].join(" "),
    machine: `${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), ${memory} of memory`,
    loadAverage: loads.map((load) => load.toFixed(1)).join(", "),
    versions: { "opslog-serverless": ours, ...Object.fromEntries(others), Node: process.version },
    server,
    latencyMs,
    rounds,
  };
}

async function write(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  say(`wrote ${path}`);
}

// Of the AWS SDK about the age of Node, by every process.
process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
const loadBefore = loadavg()[0] ?? 0;
const given = Boolean(process.env["OPSLOG_TEST_S3_ENDPOINT"]);
await using server = await s3Server();
await using proxy = await latencyProxy(server.endpoint, latencyMs, 1 + CONCURRENT_WRITERS);
const rows = await runAll(makeRunner(proxy, rounds, say));
process.stdout.write(`\n${table(rows)}`);
const kind = given ? "the one at OPSLOG_TEST_S3_ENDPOINT" : "Ceph RGW of Debian, in memory";
const setting = await describeSetting([loadBefore, loadavg()[0] ?? 0], kind);
if (values.json !== undefined) {
  await write(values.json, `${JSON.stringify({ setting, rows }, null, 2)}\n`);
}
const points = SIZES.flatMap((records) =>
  rows.flatMap((row) => (row.scenario === coldRead(records) ? [{ records, row }] : [])),
);
const plots = values.plots === undefined ? {} : coldReadPlots(points, latencyMs);
for (const [name, svg] of Object.entries(plots)) await write(join(values.plots ?? "", name), svg);
if (values.results !== undefined) {
  const from = dirname(values.results);
  const paths = Object.keys(plots).map((name) => relative(from, join(values.plots ?? "", name)));
  await write(values.results, resultsMarkdown(setting, rows, paths));
}
