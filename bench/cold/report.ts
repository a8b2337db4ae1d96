/** Medians, ratios and the tables. Pure. */
import { maxOf } from "../../src/core/bulk.ts";
import { median } from "../s3/figures.ts";
import type { Figures, Op } from "./runner.ts";
import { BASE, LIGHT, ORIGINAL, OURS } from "./variants.ts";

export interface Row {
  readonly node: string;
  readonly major: number;
  readonly name: string;
  readonly bytes: number;
  readonly gzipBytes: number;
  /** Medians; the import is the same for both, and reported once, of all. */
  readonly importMs: number;
  readonly ops: Readonly<Record<Op, Figures>>;
}

export interface Setting {
  readonly date: string;
  readonly command: string;
  readonly machine: string;
  readonly loadAverage: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly server: string;
  readonly rounds: number;
  readonly records: number;
}

export function mediansOf(samples: readonly Figures[]): Figures {
  const of = (figure: keyof Figures): number => median(samples.map((sample) => sample[figure]));
  return {
    importMs: of("importMs"),
    answerMs: of("answerMs"),
    cpuMs: of("cpuMs"),
    rssBytes: of("rssBytes"),
  };
}

const HEAD = [
  "handler",
  "kB min",
  "gz",
  "import ms",
  "read ms",
  "read CPU ms",
  "× bare",
  "write ms",
  "write CPU ms",
  "× bare",
  "RSS MB",
];

/** In Markdown, for one version of Node. */
export function table(rows: readonly Row[]): string {
  const base = rows.find(({ name }) => name === BASE);
  const lines = rows.map(({ name, bytes, gzipBytes, importMs, ops: { read, write } }) => [
    name,
    whole(bytes / 1e3),
    whole(gzipBytes / 1e3),
    whole(importMs),
    whole(read.answerMs),
    whole(read.cpuMs),
    ratio(read.cpuMs, base?.ops.read.cpuMs),
    whole(write.answerMs),
    whole(write.cpuMs),
    ratio(write.cpuMs, base?.ops.write.cpuMs),
    whole(read.rssBytes / 1e6),
  ]);
  const widths = HEAD.map((head, at) =>
    maxOf(
      lines.map((line) => line[at]?.length ?? 0),
      head.length,
    ),
  );
  const show = (line: readonly string[]): string => {
    const cells = widths.map((width, at) => {
      const cell = line[at] ?? "";
      return at === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    return `| ${cells.join(" | ")} |\n`;
  };
  const rule = widths.map((width, at) =>
    at === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [HEAD, rule, ...lines].map(show).join("");
}

const whole = (value: number): string => value.toFixed(value < 9.95 ? 1 : 0);

function ratio(value: number, base: number | undefined): string {
  return base === undefined || base === 0 ? "" : (value / base).toFixed(2);
}

interface Goal {
  readonly text: string;
  readonly of: (cpuMs: (name: string) => number) => number;
  readonly most: number;
  /** Only there. */
  readonly major?: number;
}

const GOALS: readonly Goal[] = [
  {
    text: "ours to the bare SDK, first read, CPU",
    of: (cpuMs) => cpuMs(OURS) / cpuMs(BASE),
    most: 1.15,
  },
  {
    text: "ours to the original, first read, CPU",
    of: (cpuMs) => cpuMs(OURS) / cpuMs(ORIGINAL),
    most: 0.7,
  },
  {
    text: "ours, light: import and first read, CPU ms",
    of: (cpuMs) => cpuMs(LIGHT),
    most: 60,
    major: 24,
  },
];

/** What was aimed at, and what was measured, in Markdown. */
export function goals(rows: readonly Row[]): string {
  const majors = [...new Set(rows.map(({ major }) => major))];
  const lines = GOALS.flatMap(({ text, of, most, major: only }) =>
    majors
      .filter((major) => only === undefined || only === major)
      .map((major) => {
        const cpuMs = (name: string): number =>
          rows.find((row) => row.major === major && row.name === name)?.ops.read.cpuMs ?? NaN;
        const found = of(cpuMs);
        const shown = most < 10 ? found.toFixed(2) : found.toFixed(0);
        return `| ${text} | ${major} | ${most} | ${shown} | ${found <= most ? "met" : "missed"} |\n`;
      }),
  );
  return `| goal | Node | at most | measured | |\n| --- | --: | --: | --: | --- |\n${lines.join("")}`;
}

export function resultsMarkdown(setting: Setting, rows: readonly Row[]): string {
  const versions = Object.entries(setting.versions).map(([name, version]) => `${name} ${version}`);
  const nodes = [...new Set(rows.map(({ node }) => node))];
  const tables = nodes.map(
    (node) => `## Node ${node}\n\n${table(rows.filter((row) => row.node === node))}`,
  );
  return `# Cold start

Written by \`npm run bench:cold\`; do not edit. Each sample is a process of its own, which imports a
bundle and has its handler answer one event on a store of ${setting.records.toLocaleString("en")} compacted records.

- Date: ${setting.date}
- Command: \`${setting.command}\`
- Machine: ${setting.machine}; load average at the start and at the end: ${setting.loadAverage}
- Versions: ${versions.join(", ")}
- Server: ${setting.server}, on the same machine

${goals(rows)}
${tables.join("\n")}
Medians of ${setting.rounds} processes each, one of every kind after the other. Every record read was compared with
what had been written.

- All are bundled by esbuild with the settings of the functions (\`esbuild.settings.mjs\`): minified
  ES modules and two plugins, which keep builtin modules of Node (undici among them) from loading
  before they are used, and leave out credentials from elsewhere than the environment. *No plugins*:
  without these two.
- *import ms*: the bundle. *read ms*, *write ms*: from before the import to the answer to a first
  point read or write, the import included; wall time against a server nearby. *CPU ms*: of the
  process in that time, all threads. Node's own start is in none of them.
- *× bare*: CPU time to that of the bare SDK (one GetObject or PutObject) with the
  plugins.
- *RSS MB*: after the read.
- *original*: \`@backloghq/opslog\` with \`@backloghq/opslog-s3\`, opened and closed by the invocation.
- *records service*: functions/records.ts. Hono takes and gives the Request and Response of undici,
  which Node loads for them.
- *compile cache*: V8's, filled by a run before (\`NODE_COMPILE_CACHE\`; Node 22 and later).
`;
}
