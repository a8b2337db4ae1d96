/**
 * A backlog on the real S3 server, worked off by invocations of a minute while writers go on, beside
 * the original: `npm run bench:backlog -- [--segments 200000] [--original 20000] [--writers 50]
 * [--writes-per-second 50] [--seconds 60] [--options JSON] [--results FILE]`. `--original 0` leaves the
 * comparison out; `--options` are further ones of `createCompactor`. The server is
 * OPSLOG_TEST_S3_ENDPOINT, or one that is started for it.
 */
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { maxOf } from "../../src/core/bulk.ts";
import { Store } from "../../src/store/store.ts";
import { type Cell, markdownTable, whole } from "../markdown.ts";
import { idOf } from "../records.ts";
import { s3Server } from "../s3/server.ts";
import { type Running, run, start } from "./child.ts";
import { backendOf } from "./place.ts";
import { isRecord } from "./records.ts";
import * as report from "./report.ts";
import type {
  Invocation,
  InvocationTask,
  LogTask,
  MergeAnswer,
  MergeTask,
  WritersAnswer,
  WritersTask,
} from "./tasks.ts";

const RECORD_BYTES = 300;
/** As many as there are cores to fill the store. */
const FILLERS = 2;
const LANES = 16;
const WRITER_PROCESSES = 2;
const INVOCATIONS_MAX = 200;
/** The fifty writers would list all that waits every minute, on the cores that are measured. */
const WRITER_SETTINGS = { refreshEveryMs: 1_800_000 };
const LONG_MS = 900_000;
const HEAP_MB = 8_192;

const { values } = parseArgs({
  options: {
    segments: { type: "string", default: "200000" },
    original: { type: "string", default: "20000" },
    writers: { type: "string", default: "50" },
    "writes-per-second": { type: "string", default: "50" },
    seconds: { type: "string", default: "60" },
    options: { type: "string", default: "{}" },
    results: { type: "string" },
  },
});
const segments = report.positive("segments", values.segments);
const compared = Number(values.original);
const writers = report.positive("writers", values.writers);
const perSecond = report.positive("writes-per-second", values["writes-per-second"]);
const durationMs = report.positive("seconds", values.seconds) * 1_000;
const options: InvocationTask["options"] = JSON.parse(values.options);
const { say } = report;

async function fill(location: string, count: number): Promise<void> {
  const beganMs = performance.now();
  const shared = { location, recordsPerFlush: 1, recordBytes: RECORD_BYTES, revision: 0 };
  const parts = Array.from({ length: FILLERS }, (_, at): LogTask => {
    const [from, to] = [at, at + 1].map((edge) => Math.round((edge * count) / FILLERS));
    return { ...shared, from: from ?? 0, to: to ?? count, records: count, lanes: LANES };
  });
  await Promise.all(parts.map((part) => run("fill", part)));
  const seconds = (performance.now() - beganMs) / 1_000;
  say(`wrote ${whole(count)} segments in ${seconds.toFixed(0)} s`);
}

/** An empty manifest, so that writers know from the beginning what is promised to them. */
async function begin(location: string): Promise<void> {
  const store = await Store.open(location, { backend: backendOf(location), agentId: "first" });
  await store.close();
}

async function workOff(location: string, eachMs: number): Promise<Invocation[]> {
  const invocations: Invocation[] = [];
  while (invocations.length < INVOCATIONS_MAX) {
    const task: InvocationTask = { location, durationMs: eachMs, settings: {}, options };
    const invocation = await run<Invocation>("invocation", task);
    invocations.push(invocation);
    const { outcome, more } = invocation.report;
    say(report.invocationRow(invocation, invocations.length - 1).join("  "));
    if (!more && outcome !== "lost" && outcome !== "busy") return invocations;
  }
  throw new Error(`the backlog was not worked off by ${INVOCATIONS_MAX} invocations`);
}

/** Everything that was acknowledged is there. @returns what is not, or is not as it was written */
async function check(location: string, answers: readonly WritersAnswer[]): Promise<string[]> {
  const store = await Store.open(location, {
    backend: backendOf(location),
    readOnly: true,
    skipLoad: true,
    backlogSegments: Infinity,
  });
  const written = new Map(answers.flatMap(({ ids }) => Object.entries(ids)));
  const numbers = new Map(Array.from({ length: segments }, (_, n) => [idOf(n), n]));
  const problems: string[] = [];
  for await (const [id, value] of store.scan()) {
    const n = numbers.get(id);
    const own = written.get(id);
    const found = Number((value as { readonly n?: unknown }).n);
    if (n !== undefined) {
      numbers.delete(id);
      if (!isRecord(value, n, RECORD_BYTES, 0)) problems.push(`${id}: is another`);
    } else if (own === undefined) problems.push(`${id}: nobody wrote it`);
    else {
      written.delete(id);
      const { acknowledged, sent } = own;
      if (!(acknowledged <= found && found <= sent))
        problems.push(`${id}: found ${found}, acknowledged ${acknowledged}`);
    }
  }
  for (const id of numbers.keys()) problems.push(`${id}: lost`);
  for (const [id, { acknowledged }] of written) if (acknowledged > 0) problems.push(`${id}: lost`);
  await store.close();
  return problems;
}

type Row = readonly Cell[];
const HEAD = ["", "segments", "seconds", "segments a second", "CPU ms a segment", "peak MB"];

function row(what: string, count: number, figures: MergeAnswer): Row {
  const { wallMs, cpuMs, peakRssBytes } = figures;
  const pace = whole(count / (wallMs / 1_000));
  const seconds = (wallMs / 1_000).toFixed(1);
  return [what, whole(count), seconds, pace, (cpuMs / count).toFixed(2), whole(peakRssBytes / 1e6)];
}

/** The same number of segments, nobody else at work, one process each. */
async function compare(): Promise<Row[]> {
  const { liveS3Bucket } = await import("../../test/support/live-s3.ts");
  const { writeLog } = await import("../s3/fill.ts");
  await using live = await liveS3Bucket();
  const { bucket } = live;
  const ours = `s3://${bucket}/ours`;
  await begin(ours);
  await fill(ours, compared);
  const figures = report.sumOf(await workOff(ours, LONG_MS));
  say(`the original: ${whole(compared)} segments`);
  const place = { bucket, prefix: "original" };
  const endpoint = process.env["OPSLOG_TEST_S3_ENDPOINT"] ?? "";
  await writeLog("original", place, endpoint, compared);
  const task: MergeTask = { engine: "original", ...place };
  const original = await run<MergeAnswer>("merge", task, HEAP_MB);
  return [
    row("ours, alone", compared, figures),
    row("`@backloghq/opslog-s3`, alone", compared, original),
  ];
}

function startWriters(location: string): Running<WritersAnswer>[] {
  return Array.from({ length: WRITER_PROCESSES }, (_, at) => {
    const [from = 0, to = 0] = [at, at + 1].map((edge) =>
      Math.round((edge * writers) / WRITER_PROCESSES),
    );
    const rate = perSecond / writers;
    const task: WritersTask = { location, from, to, perSecond: rate, settings: WRITER_SETTINGS };
    return start("writers", task);
  });
}

async function backlog(): Promise<{ readonly text: string; readonly row: Row }> {
  const { liveS3Bucket } = await import("../../test/support/live-s3.ts");
  await using live = await liveS3Bucket();
  const location = live.location();
  await begin(location);
  const running = startWriters(location);
  await fill(location, segments);
  const invocations = await workOff(location, durationMs);
  for (const { child } of running) child.stdin?.end();
  const answers = await Promise.all(running.map(({ answer }) => answer));
  const problems = await check(location, answers);
  for (const problem of problems.slice(0, 20)) say(problem);
  const sum = report.sumOf(invocations);
  const writes = answers.reduce((total, one) => total + one.writes, 0);
  const failures = answers.flatMap((one) => one.failures);
  for (const failure of failures.slice(0, 5)) say(failure);
  const [first] = answers;
  const text = `
${whole(segments)} segments of one record of ${RECORD_BYTES} bytes waited; ${writers} writers went on with ${perSecond} writes a
second in all, from before the first to after the last invocation of at most ${durationMs / 1_000} s each.

- Read back: ${whole(segments)} segments and ${whole(writes)} writes of the writers, ${problems.length === 0 ? "all as they were acknowledged" : `**${problems.length} problems**`}; ${failures.length} writes failed
- Writes took ${whole(first?.medianMs ?? 0)} ms (median), ${whole(maxOf(answers.map((one) => one.slowestMs)))} ms at most
- Invocations: ${invocations.length}; publications: ${sum.publications}; conflicts: ${sum.conflicts}
- Requests: ${report.describeRequests(sum)}
- Longest publication, with all that led to it: ${(sum.largest.stepMs / 1_000).toFixed(1)} s; peak memory: ${whole(sum.peakRssBytes / 1e6)} MB; manifest: at most ${whole(sum.largest.manifestBytes / 1e3)} KB
- Levels, most: ${sum.levelsMax}

${markdownTable(report.INVOCATION_HEAD, invocations.map(report.invocationRow))}`;
  process.exitCode = problems.length === 0 ? 0 : 1;
  const { segments: merged } = sum;
  return { text, row: row(`ours, beside ${writers} writers`, merged, sum) };
}

const loadBefore = loadavg()[0] ?? 0;
process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
const given = Boolean(process.env["OPSLOG_TEST_S3_ENDPOINT"]);
await using _server = await s3Server();
const beside = compared > 0 ? await compare() : [];
const measured = await backlog();
const server = given ? "the one at OPSLOG_TEST_S3_ENDPOINT" : "Ceph RGW of Debian, in memory";
const text = `## A backlog, worked off beside writers

Written by \`npm run bench:backlog\`; do not edit. Every invocation is a process of its own, which runs
\`createCompactor\` of the built package through the light client; CPU contains the start of the process.

${report.describeSetting("bench:backlog", loadBefore, server)}
${markdownTable(HEAD, [measured.row, ...beside], 1)}${measured.text}
`;
process.stdout.write(`\n${text}`);
if (values.results !== undefined) await report.writeSection(values.results, "backlog", text);
