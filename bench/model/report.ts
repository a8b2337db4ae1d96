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
  "workers",
  "days",
  "keeps up",
  "busy workers",
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
  "steps, lost",
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
      scenario.workers,
      scenario.days,
      keepsUp(outcome)
        ? "yes"
        : `no${behindDay === undefined ? "" : `, after ${behindDay.toFixed(1)} d`}`,
      busy.toFixed(2),
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
      `${ledger.steps.toLocaleString("en")}, ${ledger.lost.toLocaleString("en")}`,
    ];
  });
  return table(HEAD, rows);
}

export function capacityTable(capacities: readonly Capacity[]): string {
  const rows = capacities.map(({ flushKb, client, workers, keptUp, fellBehind, outcome }) => [
    workers,
    flushKb,
    client === "sdk" ? "AWS SDK" : "light",
    outcome === undefined ? `less than ${keptUp}` : keptUp.toLocaleString("en"),
    fellBehind.toLocaleString("en"),
    outcome?.levelsMax ?? "",
    outcome?.busy.toFixed(1) ?? "",
    outcome?.ledger.amplification.toFixed(1) ?? "",
  ]);
  const head = ["workers", "kB a flush", "client", "keeps up with, flushes a second", "not with"];
  return table([...head, "levels, most", "busy workers", "written per byte"], rows);
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

/** Flushes a second that are kept up, by workers. */
export function capacityPlot(capacities: readonly Capacity[]): string {
  return toSvg({
    title: "Flushes of 1 kB a second that are kept up with",
    xLabel: "workers of one vCPU",
    yLabel: "flushes a second",
    format: (count) => count.toLocaleString("en"),
    series: [
      {
        name: "light client, 10 GB, 5 minutes",
        points: capacities
          .filter(({ flushKb, client, outcome }) => flushKb === 1 && client === "light" && outcome)
          .map(({ workers, keptUp }) => [workers, keptUp] as const),
      },
    ],
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
  tables: { readonly outcomes: string; readonly capacities: string },
  plots: readonly string[],
): string {
  const { segmentMs, mergeBytesPerMs, requestMs, pageMs, keyMs, manifestMsPerByte, runMs } =
    MEASURED;
  return `# A model of compaction

Written by \`npm run model:compaction\`; do not edit. The engine's own planner, division of work, levels,
re-based publications and pace work on runs that hold no records. What requests and work take is assumed.

- Date: ${date}; command: \`${command}\`; seed ${seed}
- CPU of one segment: ${segmentMs} ms with the light client, ${SDK_SEGMENT_MS} ms with the AWS SDK; the tables hold for
  the light client unless they say so
- Merge of runs: ${mergeBytesPerMs / 1_000} MB/s of lines on one vCPU, compressed ${COMPRESSION} times smaller (DEFLATE)
- A request takes ${requestMs} ms, a page of a LIST ${pageMs} ms and ${keyMs} ms of CPU for each key; a manifest and its
  catalogues take ${(manifestMsPerByte * 1e6).toFixed(0)} ms for each MB to encode, check and decode, and a publication ${runMs} ms for each run
- Prices: S3 Standard in us-east-1 as in \`src/core/cost.ts\`; Lambda $${LAMBDA.usdPerGbSecond} a GB-second (an
  assumption: x86, us-east-1), ${Math.round(LAMBDA.memoryGb * 1_024)} MB; the writers' own PUTs and storage are not in it
- A coordinator begins every minute, unless one is running; with several workers it divides the work as
  \`createCompactor\` with \`parallel\` does: parts of the log by shard, parts of the levels by span of ids

${plots.map((path) => `![${path}](${path})`).join("\n")}

${tables.outcomes}
- *Keeps up*: at the end less log waits than arrives in two invocations. A simulation ends early once
  the log is six hours late. *Busy workers*: how many run, on average.
- *Store*: one that is updated has its size from the beginning, in one level, and every write replaces a
  record that is chosen at random. Ids are evenly spread, which is the worst case for merges by range.
- *Written per byte*: bytes of runs for each byte of log. *Levels*: what a point read may have to look
  into. *Cold read*: at most: the manifest at the end, one catalogue of each level that has some, a part of
  the index of each level, and one block.
- *Old bytes stay*: how long data waited at most on its way to the oldest level, where what it replaces
  lies. The setting \`eraseAfterMs\` is 7 days; merges for it begin after half of that.
- *Per GB*: of log that was merged, with everything that the compactor sends. *Steps, lost*: publications,
  and merges that did not go with what another worker had published meanwhile.

## Where it no longer keeps up

A store of 10 GB, updated, with invocations of 5 minutes:

${tables.capacities}`;
}
