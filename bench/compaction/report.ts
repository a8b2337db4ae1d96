/** What the measurements of compactions say of themselves, and where it is written down. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { cpus, loadavg, totalmem } from "node:os";
import { dirname } from "node:path";
import type { RequestKind } from "../../src/core/cost.ts";
import { maxOf } from "../../src/core/bulk.ts";
import { commit } from "../commit.ts";
import { type Cell, whole } from "../markdown.ts";
import type { Invocation } from "./tasks.ts";
import type { StepFigures } from "./watched.ts";

const MB = 1e6;

export const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** Of several invocations. */
export interface Sum {
  readonly segments: number;
  readonly operations: number;
  /** Lines of the runs that were written. */
  readonly lines: number;
  readonly publications: number;
  readonly conflicts: number;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakRssBytes: number;
  readonly levelsMax: number;
  readonly requests: Readonly<Record<RequestKind, number>>;
  /** The largest of each figure, whichever step it is from. */
  readonly largest: StepFigures;
  readonly writtenBytes: number;
}

export function sumOf(invocations: readonly Invocation[]): Sum {
  const sum = (of: (one: Invocation) => number): number =>
    invocations.reduce((total, one) => total + of(one), 0);
  const steps = invocations.flatMap((one) => one.steps);
  const most = (of: (step: StepFigures) => number): number => maxOf(steps.map(of), 0);
  const requests = (kind: RequestKind): number => sum(({ report }) => report.cost.requests[kind]);
  return {
    segments: sum(({ report }) => report.segments),
    operations: sum(({ report }) => report.operations),
    lines: sum(({ report }) => report.records),
    publications: sum(({ report }) => report.publications),
    conflicts: sum(({ report }) => report.conflicts),
    wallMs: sum(({ wallMs }) => wallMs),
    cpuMs: sum(({ cpuMs }) => cpuMs),
    peakRssBytes: maxOf(
      invocations.map((one) => one.peakRssBytes),
      0,
    ),
    levelsMax: maxOf(
      invocations.map(({ report }) => report.levels),
      0,
    ),
    requests: {
      get: requests("get"),
      head: requests("head"),
      put: requests("put"),
      list: requests("list"),
      delete: requests("delete"),
    },
    largest: {
      stepMs: most(({ stepMs }) => stepMs),
      putMs: most(({ putMs }) => putMs),
      manifestBytes: most(({ manifestBytes }) => manifestBytes),
      readBytes: most(({ readBytes }) => readBytes),
      writtenBytes: most(({ writtenBytes }) => writtenBytes),
    },
    writtenBytes: steps.reduce((total, { writtenBytes }) => total + writtenBytes, 0),
  };
}

export const INVOCATION_HEAD = [
  "invocation",
  "segments",
  "seconds",
  "CPU ms a segment",
  "publications",
  "levels",
  "runs",
  "peak MB",
  "longest publication, s",
];

export function invocationRow(invocation: Invocation, at: number): Cell[] {
  const { report } = invocation;
  const { cpuMs, largest, peakRssBytes, segments, wallMs } = sumOf([invocation]);
  return [
    at + 1,
    whole(segments),
    (wallMs / 1_000).toFixed(1),
    segments === 0 ? "" : (cpuMs / segments).toFixed(2),
    report.publications,
    report.levels,
    report.runs,
    whole(peakRssBytes / MB),
    (largest.stepMs / 1_000).toFixed(1),
  ];
}

export function describeRequests({ requests }: Sum): string {
  return Object.entries(requests)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${whole(count)} ${kind.toUpperCase()}`)
    .join(", ");
}

/** Where and how something was measured, as a list in Markdown. */
export function describeSetting(script: string, loadBefore: number, server?: string): string {
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const loads = [loadBefore, loadavg()[0] ?? 0].map((load) => load.toFixed(1)).join(", ");
  return `- Date: ${new Date().toISOString().slice(0, 10)}
- Command: \`${[`npm run ${script} --`, ...process.argv.slice(2)].join(" ")}\`
- Machine: ${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), ${memory} of memory; load average at the start and at the end: ${loads}
- Versions: commit ${commit()}, Node ${process.version}${server === undefined ? "" : `\n- Server: ${server}`}
`;
}

const TITLE = "# Compactions of large stores and of large backlogs\n";

/** Replaces one section of a file of results, or adds it. */
export async function writeSection(path: string, name: string, text: string): Promise<void> {
  const [begin, end] = [`<!-- ${name} -->\n`, `<!-- end of ${name} -->\n`];
  const before = await readFile(path, "utf8").catch(() => TITLE);
  const [from, to] = [before.indexOf(begin), before.indexOf(end)];
  const section = `${begin}${text}${end}`;
  const isNew = from < 0 || to < from;
  const after = isNew
    ? `${before}\n${section}`
    : before.slice(0, from) + section + before.slice(to + end.length);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, after);
  say(`wrote ${path}`);
}

export function positive(name: string, value: string): number {
  const number = Number(value);
  if (number > 0) return number;
  throw new Error(`--${name}: expected a positive number, found ${value}`);
}
