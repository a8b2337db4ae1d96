/** What is written down of the model: tables in Markdown, and plots. Pure. */
import { markdownTable as table } from "../markdown.ts";
import { formatBytes } from "../s3/report.ts";
import { toSvg } from "../s3/svg.ts";
import { maxOf } from "../../src/core/bulk.ts";
import { COMPRESSION, LAMBDA, MEASURED, SDK_SEGMENT_MS } from "./assumptions.ts";
import { type Capacity, keepsUp } from "./scenarios.ts";
import type { Outcome } from "./simulate.ts";

const DAY_MS = 86_400_000;

const HEAD = [
  "flushes a second",
  "kB each",
  "store",
  "minutes",
  "days",
  "keeps up",
  "busy",
  "longest backlog, s",
  "written per byte",
  "levels, most",
  "runs",
  "manifest KB, most",
  "cold read KB",
  "old bytes stay, days",
  "requests per GB",
  "requests $ per GB",
  "function $ per GB",
];

export function outcomeTable(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map((outcome) => {
    const { scenario, ledger, samples, levelsMax, busy, behindDay, store } = outcome;
    const last = samples.at(-1);
    const kb = (bytes: number): string => Math.round(bytes / 1_000).toLocaleString("en");
    return [
      scenario.flushesPerSecond.toLocaleString("en"),
      scenario.flushBytes / 1_000,
      describeStore(outcome),
      scenario.invocationMs / 60_000,
      scenario.days,
      keepsUp(outcome)
        ? "yes"
        : `no${behindDay === undefined ? "" : `, after ${behindDay.toFixed(1)} d`}`,
      `${(100 * busy).toFixed(1)} %`,
      Math.round(maxOf(samples.map(({ ageMs }) => ageMs)) / 1_000).toLocaleString("en"),
      ledger.amplification.toFixed(1),
      levelsMax,
      (last?.runs ?? 0).toLocaleString("en"),
      kb(maxOf(samples.map(({ manifestBytes }) => manifestBytes))),
      kb(store.coldReadBytes()),
      (outcome.eraseMs / DAY_MS).toFixed(1),
      Math.round(ledger.requestsPerGb).toLocaleString("en"),
      ledger.requestUsdPerGb.toFixed(3),
      ledger.functionUsdPerGb.toFixed(3),
    ];
  });
  return table(HEAD, rows);
}

export function capacityTable(capacities: readonly Capacity[]): string {
  const rows = capacities.map(({ flushKb, client, keptUp, fellBehind }) => [
    flushKb,
    client === "sdk" ? "AWS SDK" : "light",
    keptUp.toLocaleString("en"),
    fellBehind.toLocaleString("en"),
  ]);
  return table(["kB a flush", "client", "keeps up with, flushes a second", "not with"], rows);
}

function describeStore({ scenario: { capacityBytes, settings } }: Outcome): string {
  if (capacityBytes === Infinity) return "grows from nothing";
  const size = `${formatBytes(capacityBytes)}, updated`;
  return settings?.eraseAfterMs === undefined ? size : `${size}, without \`eraseAfterMs\``;
}

/** Segments that wait, over hours. @param outcomes two at most, of which the first keeps up */
export function backlogPlot(outcomes: readonly Outcome[]): string {
  return toSvg({
    title: "Log that waits, one worker, 1 kB a flush",
    xLabel: "hours",
    yLabel: "segments",
    format: (count) => count.toLocaleString("en"),
    series: outcomes.map(({ scenario, samples }) => ({
      name: `${scenario.flushesPerSecond.toLocaleString("en")} flushes a second`,
      points: samples
        .filter(({ day }) => day > 0)
        .map(({ day, waiting }) => [day * 24, Math.max(1, waiting)] as const),
    })),
  });
}

/** Bytes written to runs for a byte of log, over days, of a store that grows. */
export function amplificationPlot(outcomes: readonly Outcome[]): string {
  return toSvg({
    title: "Bytes written to runs for each byte of log, in a store that grows",
    xLabel: "days",
    yLabel: "written per byte",
    format: (times) => times.toLocaleString("en"),
    series: outcomes.map(({ scenario, samples }) => ({
      name: `${scenario.flushesPerSecond.toLocaleString("en")} flushes a second`,
      points: samples
        .filter(({ day, amplification }) => day > 0 && amplification > 0)
        .map(({ day, amplification }) => [day, amplification] as const),
    })),
  });
}

export interface Setting {
  readonly date: string;
  readonly command: string;
  readonly seed: number;
}

export function resultsMarkdown(
  { date, command, seed }: Setting,
  tables: { readonly outcomes: string; readonly capacities: string; readonly workers: string },
  plots: readonly string[],
): string {
  const { segmentMs, mergeBytesPerMs, requestMs, pageMs, keyMs, manifestMsPerByte } = MEASURED;
  return `# A model of compaction

Written by \`npm run model:compaction\`; do not edit. The engine's own planner, levels, publications,
manifest codec and pace work on runs that hold no records. What requests and work take is assumed.

- Date: ${date}; command: \`${command}\`; seed ${seed}
- CPU of one segment: ${segmentMs} ms with the light client, ${SDK_SEGMENT_MS} ms with the AWS SDK; the tables hold for
  the light client unless they say so
- Merge of runs: ${mergeBytesPerMs / 1_000} MB/s of lines on one vCPU, compressed ${COMPRESSION} times smaller (DEFLATE)
- A request takes ${requestMs} ms, a page of a LIST ${pageMs} ms and ${keyMs} ms of CPU for each key; a manifest takes
  ${(manifestMsPerByte * 1e6).toFixed(0)} ms for each MB to encode, check and decode
- Prices: S3 Standard in us-east-1 as in \`src/core/cost.ts\`; Lambda $${LAMBDA.usdPerGbSecond} a GB-second (an
  assumption: x86, us-east-1), ${Math.round(LAMBDA.memoryGb * 1_024)} MB; the writers' own PUTs and storage are not in it
- An invocation begins every minute, unless one is running

${plots.map((path) => `![${path}](${path})`).join("\n")}

${tables.outcomes}
- *Keeps up*: at the end less log waits than arrives in two invocations. A simulation ends early once
  the log is six hours late. *Busy*: share of the time in which the one worker runs.
- *Store*: one that is updated has its size from the beginning, in one level, and every write replaces a
  record that is chosen at random. Ids are evenly spread, which is the worst case for merges by range.
- *Written per byte*: bytes of runs for each byte of log. *Levels*: what a point read may have to look
  into. *Cold read*: the manifest at the end, a part of the index of each level, and one block.
- *Old bytes stay*: how long data waited at most on its way to the oldest level, where what it replaces
  lies. The setting \`eraseAfterMs\` is 7 days; merges for it begin after half of that.
- *Per GB*: of log that was merged, with everything that the compactor sends.

## Where one worker no longer keeps up

A store of 10 GB, updated, with invocations of 15 minutes:

${tables.capacities}
## More workers

The engine has one worker at a time: a lease sees to that. This table is an **assumption about a later
stage**: the CPU of segments, listed keys and merges is divided by the number of workers, everything
else (requests that wait for each other, publications) is not. 1 kB a flush, 3,500 flushes a second,
a store of 10 GB, invocations of 15 minutes:

${tables.workers}`;
}
