/** What is written down of a run: the results in Markdown, and the plots. */
import { DOLLARS_PER_MILLION } from "./cost.ts";
import { type Row, table } from "./figures.ts";
import { type Plot, type Series, toSvg } from "./svg.ts";
import { ENGINES } from "./tasks.ts";

/** Where and how it was measured. */
export interface Setting {
  readonly date: string;
  readonly command: string;
  readonly machine: string;
  readonly loadAverage: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly server: string;
  readonly latencyMs: number;
  readonly rounds: number;
}

/** @param plots their addresses, relative to where the text is written */
export function resultsMarkdown(
  setting: Setting,
  rows: readonly Row[],
  plots: readonly string[],
): string {
  const versions = Object.entries(setting.versions).map(([name, version]) => `${name} ${version}`);
  const price = DOLLARS_PER_MILLION;
  return `# Cost and time on S3

Written by \`npm run bench:s3\`; do not edit. Ours (\`opslog-serverless\`) beside the original
(\`@backloghq/opslog\` with \`@backloghq/opslog-s3\`), on the same server, in alternating order.

- Date: ${setting.date}
- Command: \`${setting.command}\`
- Machine: ${setting.machine}; load average at the start and at the end: ${setting.loadAverage}
- Versions: ${versions.join(", ")}
- Server: ${setting.server}, behind a proxy that adds ${setting.latencyMs} ms to each request and
  limits no bandwidth, which favours whoever downloads more

${plots.map((path) => `![${path}](${path})`).join("\n")}

${table(rows)}
Medians of ${setting.rounds} rounds. Every value read was compared with what had been written.

- *Records* have about 300 bytes of JSON. Stores are compacted, but for the uncompacted writes of
  ten writers where it says so.
- *Cold*: from a fresh process that has loaded its modules to the answer, opening included.
  *Warm*: another record from the store that is open already. *Warm invocation*: the second call
  in a process: ours of a \`withStore\` handler, of the original \`refresh\` and \`get\` on an open
  store, because without a refresh it misses what others wrote.
- *Round trips*: the longest chain of requests each of which began after the one before had ended,
  of one client. Thousands of requests over a bounded number of sockets form long chains as well.
  *KB*: bodies.
- *$ per million* of such operations (one write of the 50, one compacted write): S3 Standard in
  us-east-1, November 2026: PUT, POST, LIST $${price.PUT}, GET, HEAD $${price.GET} per million, DELETE
  free, and no transfer costs inside the region. The time of the function is not in it.
- *Peak MB*: the largest resident set of the process until then, Node and the AWS SDK included.
- The original reads nothing without loading everything, so its point read, \`readMany\` and scan
  are an open. It is opened read only where that finds everything, which saves it the requests of
  a lock; to see other writers' logs it has to register as one of them. Its compactions leave the
  merged objects in the bucket.
`;
}

/** Bytes down and wall time of a cold point read against the size of the store. */
export function coldReadPlots(
  points: readonly { readonly records: number; readonly row: Row }[],
  latencyMs: number,
): Readonly<Record<string, string>> {
  const seriesOf = (figure: string): Series[] =>
    ENGINES.map((engine) => ({
      name: engine === "ours" ? "opslog-serverless" : "@backloghq/opslog-s3",
      points: points.flatMap(({ records, row }) => {
        const value = row.engine === engine ? row.figures?.[figure] : undefined;
        return value === undefined || value <= 0 ? [] : [[records, value] as const];
      }),
    }));
  const xLabel = "records in the store (about 300 bytes each)";
  const plots: Readonly<Record<string, Plot>> = {
    "cold-read-bytes.svg": {
      title: "One cold point read: bytes downloaded",
      xLabel,
      yLabel: "bytes down",
      format: formatBytes,
      series: seriesOf("bytesDown"),
    },
    "cold-read-time.svg": {
      title: `One cold point read: time, at ${latencyMs} ms a request`,
      xLabel,
      yLabel: "wall time",
      format: formatMilliseconds,
      series: seriesOf("wallMs"),
    },
  };
  return Object.fromEntries(Object.entries(plots).map(([name, plot]) => [name, toSvg(plot)]));
}

export function formatBytes(bytes: number): string {
  if (bytes >= 1e9) return `${bytes / 1e9} GB`;
  if (bytes >= 1e6) return `${bytes / 1e6} MB`;
  return bytes >= 1e3 ? `${bytes / 1e3} KB` : `${bytes} B`;
}

function formatMilliseconds(ms: number): string {
  return ms >= 1_000 ? `${ms / 1_000} s` : `${ms} ms`;
}
