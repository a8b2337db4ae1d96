/**
 * Steady updates of a large store: one pass after each minute's worth of them, back to back.
 * `npm run bench:steady -- [--medium directory] [--gigabytes 10] [--minutes 60]
 * [--flushes-per-second 100] [--records-per-flush 10] [--record-bytes 1000] [--seconds 60]
 * [--options JSON] [--directory DIR] [--results FILE]`. With `--medium s3` the store is on the server of
 * OPSLOG_TEST_S3_ENDPOINT, or on one that is started for it, and smaller: 1 GB, 20 flushes of 5 records.
 */
import { mkdir, mkdtemp, rm, statfs } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { append } from "../../src/core/bulk.ts";
import { verify } from "../../src/store/verify.ts";
import { markdownTable, whole } from "../markdown.ts";
import { scattered } from "../records.ts";
import { s3Server } from "../s3/server.ts";
import { type BigStore, checkBigStore, makeBigStore, recordsIn } from "./big-store.ts";
import { run } from "./child.ts";
import { backendOf } from "./place.ts";
import * as report from "./report.ts";
import type { Invocation, InvocationTask, LogTask } from "./tasks.ts";

const { say } = report;
const GB = 1e9;
/** Passes follow each other within seconds: what they replace must not pile up for an hour. */
const SETTINGS = { gcGraceMs: 5_000, segmentGraceMs: 5_000 };
const PASSES_MAX = 20;
const DEFAULTS = {
  directory: { gigabytes: "10", "flushes-per-second": "100", "records-per-flush": "10", lanes: 4 },
  s3: { gigabytes: "1", "flushes-per-second": "20", "records-per-flush": "5", lanes: 32 },
};

const { values } = parseArgs({
  options: {
    medium: { type: "string", default: "directory" },
    gigabytes: { type: "string" },
    minutes: { type: "string", default: "60" },
    "flushes-per-second": { type: "string" },
    "records-per-flush": { type: "string" },
    "record-bytes": { type: "string", default: "1000" },
    seconds: { type: "string", default: "60" },
    options: { type: "string", default: "{}" },
    directory: { type: "string" },
    results: { type: "string" },
  },
});
const isS3 = values.medium === "s3";
if (!isS3 && values.medium !== "directory")
  throw new Error(`--medium: expected directory or s3, found ${values.medium}`);
const defaults = DEFAULTS[isS3 ? "s3" : "directory"];
const of = (name: "gigabytes" | "flushes-per-second" | "records-per-flush"): number =>
  report.positive(name, values[name] ?? defaults[name]);
const bytes = of("gigabytes") * GB;
const minutes = report.positive("minutes", values.minutes);
const flushes = Math.round(of("flushes-per-second") * 60);
const recordsPerFlush = of("records-per-flush");
const recordBytes = report.positive("record-bytes", values["record-bytes"]);
const durationMs = report.positive("seconds", values.seconds) * 1_000;
const options: InvocationTask["options"] = JSON.parse(values.options);

interface Place extends AsyncDisposable {
  readonly location: string;
  readonly server?: string;
}

async function placeOnDisk(): Promise<Place> {
  const parent = values.directory ?? tmpdir();
  await mkdir(parent, { recursive: true });
  const { bavail, bsize } = await statfs(parent);
  // Stored it is a fraction of that, but a merge of everything holds it twice.
  if (bavail * bsize < bytes)
    throw new Error(`${parent}: less than ${whole(bytes / GB)} GB are free`);
  const location = await mkdtemp(join(parent, "opslog-steady-"));
  return {
    location,
    [Symbol.asyncDispose]: () => rm(location, { recursive: true, force: true }),
  };
}

async function placeOnS3(): Promise<Place> {
  const given = Boolean(process.env["OPSLOG_TEST_S3_ENDPOINT"]);
  const running = await s3Server();
  const { liveS3Bucket } = await import("../../test/support/live-s3.ts");
  const live = await liveS3Bucket();
  return {
    location: live.location(),
    server: given ? "the one at OPSLOG_TEST_S3_ENDPOINT" : "Ceph RGW of Debian, in memory",
    [Symbol.asyncDispose]: async () => {
      await live[Symbol.asyncDispose]();
      await running[Symbol.asyncDispose]();
    },
  };
}

/** Invocations until one leaves nothing to be done at once; the first is the pass of the minute. */
async function compact(location: string): Promise<Invocation[]> {
  const invocations: Invocation[] = [];
  for (let more = true; more && invocations.length < PASSES_MAX;) {
    const task: InvocationTask = { location, durationMs, settings: SETTINGS, options };
    const invocation = await run<Invocation>("invocation", task);
    invocations.push(invocation);
    more = invocation.report.more;
  }
  return invocations;
}

async function update(store: BigStore, minute: number, revisions: Uint16Array): Promise<void> {
  const { location, records } = store;
  const task: LogTask = {
    location,
    from: (minute - 1) * flushes,
    to: minute * flushes,
    recordsPerFlush,
    recordBytes,
    records,
    revision: minute,
    lanes: defaults.lanes,
  };
  await run("fill", task);
  for (let at = task.from * recordsPerFlush; at < task.to * recordsPerFlush; at++)
    revisions[scattered(at, records)] = minute;
}

const HEAD = [
  "minutes",
  "levels",
  "runs",
  "lines written per operation",
  "manifest KB",
  "seconds, most",
];

async function measure({ location }: Place): Promise<string> {
  const store: BigStore = { location, records: recordsIn(bytes, recordBytes), recordBytes };
  say(`making a store of ${whole(store.records)} records`);
  const made = await makeBigStore(store);
  const revisions = new Uint16Array(store.records);
  const all: Invocation[] = [];
  const rows: (readonly (string | number)[])[] = [];
  for (let minute = 1; minute <= minutes; minute++) {
    await update(store, minute, revisions);
    const invocations = await compact(location);
    append(all, invocations);
    const sum = report.sumOf(all);
    const own = report.sumOf(invocations);
    const last = invocations.at(-1)?.report;
    const row = [
      minute,
      last?.levels ?? 0,
      last?.runs ?? 0,
      (sum.lines / sum.operations).toFixed(1),
      whole(own.largest.manifestBytes / 1e3),
      (own.largest.stepMs / 1_000).toFixed(1),
    ];
    say(row.join("  "));
    if (minute % Math.ceil(minutes / 12) === 0 || minute === minutes) rows.push(row);
  }
  say("verify, and a scan of everything");
  const verified = await verify(location, { backend: backendOf(location), ...SETTINGS });
  const problems = [
    ...verified.problems.map(({ message }) => message),
    ...(await checkBigStore(store, revisions)),
  ];
  for (const problem of problems.slice(0, 20)) say(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
  const sum = report.sumOf(all);
  const mb = (count: number): string => `${whole(count / 1e6)} MB`;
  return `
A store of ${whole(store.records)} records, ${mb(made.lines)} of lines, stored in ${mb(made.stored)}; ${minutes} minutes of ${whole(flushes)} flushes
of ${recordsPerFlush} updates of ${recordBytes} bytes, spread over all records; invocations of at most ${durationMs / 1_000} s.

- Amplification: ${(sum.lines / sum.operations).toFixed(1)} lines written to runs for each operation of the log
- Largest unit, as it is stored: ${mb(sum.largest.readBytes)} read, ${mb(sum.largest.writtenBytes)} written
- Peak memory of an invocation: ${mb(sum.peakRssBytes)}
- Longest publication, with all that led to it: ${(sum.largest.stepMs / 1_000).toFixed(1)} s; the PUT of the manifest: at most ${whole(sum.largest.putMs)} ms
- Levels, most: ${sum.levelsMax}; manifest, most: ${whole(sum.largest.manifestBytes / 1e3)} KB
- Invocations: ${all.length}; publications: ${sum.publications}; CPU: ${(sum.cpuMs / 1_000).toFixed(0)} s for ${whole(sum.operations)} operations in ${whole(sum.segments)} segments
- Requests: ${report.describeRequests(sum)}
- \`verify\` and a scan of all records: ${problems.length === 0 ? "everything is as it was written" : `**${problems.length} problems**`}

${markdownTable(HEAD, rows)}`;
}

const loadBefore = loadavg()[0] ?? 0;
process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
await using place = isS3 ? await placeOnS3() : await placeOnDisk();
const measured = await measure(place);
const what = isS3 ? "on S3" : "on a directory";
const text = `## Steady updates of a store ${what}

Written by \`npm run bench:steady\`; do not edit. Every invocation is a process of its own, which runs
\`createCompactor\` of the built package. The minutes are simulated: a pass begins once a minute's updates
are written, and the next minute's once the pass has ended.

${report.describeSetting("bench:steady", loadBefore, place.server)}${measured}
`;
process.stdout.write(`\n${text}`);
if (values.results !== undefined)
  await report.writeSection(values.results, isS3 ? "steady-s3" : "steady-directory", text);
