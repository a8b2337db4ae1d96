/**
 * What a cold start costs, ours beside the original and the bare SDK: `npm run bench:cold --
 * [--rounds 15] [--nodes 20,22,24] [--json FILE] [--results FILE]`. The server is
 * OPSLOG_TEST_S3_ENDPOINT, or one that is started for it.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { cpus, loadavg, totalmem } from "node:os";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { commit } from "../commit.ts";
import { idOf, recordOf } from "../s3/records.ts";
import { s3Server } from "../s3/server.ts";
import { goals, mediansOf, resultsMarkdown, type Row, type Setting, table } from "./report.ts";
import {
  type Figures,
  type Node,
  nodeOf,
  type Op,
  OPS,
  prepare,
  type Ready,
  runsOn,
} from "./runner.ts";
import { type Data, type Variant, VARIANTS } from "./variants.ts";

const RECORDS = 1_000;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "15" },
    nodes: { type: "string", default: "20,22,24" },
    json: { type: "string" },
    results: { type: "string" },
  },
});
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const rounds = positive("rounds", values.rounds);
const majors = values.nodes.split(",").map((major) => positive("nodes", major));

function positive(name: string, value: string): number {
  const number = Number(value);
  if (Number.isInteger(number) && number > 0) return number;
  throw new Error(`--${name}: expected a positive integer, found ${value}`);
}

type Locate = (data: Data, op: Op, name: string) => string;

/** Stores for a round: one that is read, and one that each variant writes to. */
async function makeStores(bucket: string, endpoint: string, round: number): Promise<Locate> {
  const { fill } = await import("../s3/fill.ts");
  const writers = VARIANTS.map(({ data, name }) => ({
    data,
    path: pathOf(data, "write", name, round),
  }));
  const readers = (["ours", "original", "objects"] as const).map((data) => ({
    data,
    path: pathOf(data, "read", "", 0),
  }));
  for (const { data, path: prefix } of [...(round === 0 ? readers : []), ...writers]) {
    if (data === "objects" && round === 0) await putRecord(bucket, prefix);
    if (data === "ours" || data === "original") {
      await fill(data, { bucket, prefix }, endpoint, RECORDS);
    }
  }
  return (data, op, name) => `s3://${bucket}/${pathOf(data, op, name, round)}`;
}

function pathOf(data: Data, op: Op, name: string, round: number): string {
  return op === "read" ? data : `${data}-${name.replaceAll(/\W+/g, "-")}-${round}`;
}

async function putRecord(Bucket: string, prefix: string): Promise<void> {
  const { liveS3Client } = await import("../../test/support/live-s3.ts");
  const client = liveS3Client();
  const id = RECORDS / 2;
  const Body = JSON.stringify(recordOf(id));
  await client.send(new PutObjectCommand({ Bucket, Key: `${prefix}/${idOf(id)}`, Body }));
  client.destroy();
}

interface Series {
  readonly node: Node;
  readonly variant: Variant;
  readonly samples: Record<Op, Figures[]>;
}

async function measureAll(
  ready: Ready,
  endpoint: string,
  nodes: readonly Node[],
): Promise<Series[]> {
  const { liveS3Bucket } = await import("../../test/support/live-s3.ts");
  await using live = await liveS3Bucket();
  const series = nodes.flatMap((node) =>
    VARIANTS.filter((variant) => runsOn(variant, node)).map((variant) => {
      const samples: Record<Op, Figures[]> = { read: [], write: [] };
      return { node, variant, samples };
    }),
  );
  // Before the first round: fills the compile caches, and the page cache.
  const locate = await makeStores(live.bucket, endpoint, 0);
  for (const { node, variant } of series) {
    await ready.sample(node, variant, "read", locate(variant.data, "read", variant.name));
  }
  for (let round = 0; round < rounds; round++) {
    say(`round ${round + 1} of ${rounds}`);
    const at = round === 0 ? locate : await makeStores(live.bucket, endpoint, round);
    // In turn forwards and backwards, so that none is always the one after another.
    for (const { node, variant, samples } of round % 2 === 0 ? series : series.toReversed()) {
      for (const op of OPS) {
        const location = at(variant.data, op, variant.name);
        samples[op].push(await ready.sample(node, variant, op, location));
      }
    }
  }
  return series;
}

function rowOf({ node, variant, samples }: Series, ready: Ready): Row {
  const { bytes = 0, gzipBytes = 0 } = ready.bundles.get(variant) ?? {};
  return {
    node: node.version,
    major: node.major,
    name: variant.name,
    bytes,
    gzipBytes,
    importMs: mediansOf([...samples.read, ...samples.write]).importMs,
    ops: { read: mediansOf(samples.read), write: mediansOf(samples.write) },
  };
}

async function version(path: string): Promise<string> {
  const found: { version: string } = JSON.parse(await readFile(`${path}package.json`, "utf8"));
  return found.version;
}

async function describeSetting(loads: readonly number[], server: string): Promise<Setting> {
  const names = [
    "@backloghq/opslog",
    "@backloghq/opslog-s3",
    "@aws-sdk/client-s3",
    "hono",
    "esbuild",
  ];
  const others = await Promise.all(
    names.map(async (name) => [name, await version(`node_modules/${name}/`)] as const),
  );
  return {
    date: new Date().toISOString().slice(0, 10),
    command: ["npm run bench:cold --", ...process.argv.slice(2)].join(" "),
    machine: `${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), ${Math.round(totalmem() / 2 ** 30)} GiB of memory`,
    loadAverage: loads.map((load) => load.toFixed(1)).join(", "),
    versions: {
      "opslog-serverless": `${await version("")} (commit ${commit()})`,
      ...Object.fromEntries(others),
    },
    server,
    rounds,
    records: RECORDS,
  };
}

async function write(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  say(`wrote ${path}`);
}

process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
const loadBefore = loadavg()[0] ?? 0;
const given = Boolean(process.env["OPSLOG_TEST_S3_ENDPOINT"]);
await using server = await s3Server();
const nodes: Node[] = [];
for (const major of majors) nodes.push(await nodeOf(major));
await using ready = await prepare(server.endpoint);
const series = await measureAll(ready, server.endpoint, nodes);
const rows = series.map((each) => rowOf(each, ready));
for (const { version: node } of nodes) {
  process.stdout.write(`\nNode ${node}\n\n${table(rows.filter((row) => row.node === node))}`);
}
process.stdout.write(`\n${goals(rows)}`);
const kind = given ? "the one at OPSLOG_TEST_S3_ENDPOINT" : "Ceph RGW of Debian, in memory";
const setting = await describeSetting([loadBefore, loadavg()[0] ?? 0], kind);
if (values.json !== undefined) {
  await write(values.json, `${JSON.stringify({ setting, rows }, null, 2)}\n`);
}
if (values.results !== undefined) await write(values.results, resultsMarkdown(setting, rows));
