/** Figures of several rounds: medians, ratios, the table. Pure. */
import { maxOf } from "../../src/core/bulk.ts";
import { dollarsPerMillion, REQUEST_KINDS, type RequestKind } from "./cost.ts";
import type { EngineName, Figures } from "./tasks.ts";

/** What one engine did in one scenario: medians of its rounds, or why there are none. */
export interface Row {
  readonly scenario: string;
  readonly engine: EngineName;
  /** That one measurement did: its dollars are those of a million of them. */
  readonly operations: number;
  readonly rounds: number;
  readonly figures?: Figures;
  readonly reason?: string;
}

/** The middle one, or the mean of the two in the middle; 0 of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

export function medians(rounds: readonly Figures[]): Figures {
  const names = [...new Set(rounds.flatMap((figures) => Object.keys(figures)))];
  return Object.fromEntries(
    names.map((name) => [name, median(rounds.map((figures) => figures[name] ?? 0))]),
  );
}

export function requestsOf(figures: Figures): Record<RequestKind, number> {
  const of = (kind: RequestKind): number => figures[kind] ?? 0;
  return {
    GET: of("GET"),
    HEAD: of("HEAD"),
    PUT: of("PUT"),
    LIST: of("LIST"),
    POST: of("POST"),
    DELETE: of("DELETE"),
  };
}

/** Dollars per million of what the scenario does. */
export function dollarsOf({ figures = {}, operations }: Row): number {
  return dollarsPerMillion(requestsOf(figures)) / operations;
}

/** How many times as long as ours the original took; undefined unless both were measured. */
export function wallRatio(rows: readonly Row[], scenario: string): number | undefined {
  const of = (engine: EngineName): number | undefined =>
    rows.find((row) => row.scenario === scenario && row.engine === engine)?.figures?.["wallMs"];
  const [ours, original] = [of("ours"), of("original")];
  return ours === undefined || original === undefined ? undefined : original / ours;
}

const HEAD = [
  "scenario",
  "store",
  "requests",
  "round trips",
  "KB down",
  "KB up",
  "ms",
  "times ours",
  "$ per million",
  "peak MB",
  "notes",
];
/** Columns of text; the others are numbers, and stand to the right. */
const TEXT_COLUMNS = new Set([0, 1, 2, 10]);

/** A table in Markdown that can be read as it is. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => cells(row, rows));
  const widths = HEAD.map((head, at) =>
    maxOf(
      lines.map((line) => line[at]?.length ?? 0),
      head.length,
    ),
  );
  const show = (line: readonly string[]): string => {
    const padded = widths.map((width, at) => {
      const cell = line[at] ?? "";
      return TEXT_COLUMNS.has(at) ? cell.padEnd(width) : cell.padStart(width);
    });
    return `| ${padded.join(" | ")} |`;
  };
  const rule = widths.map((width, at) =>
    TEXT_COLUMNS.has(at) ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [HEAD, rule, ...lines].map((line) => `${show(line)}\n`).join("");
}

function cells(row: Row, rows: readonly Row[]): string[] {
  const { scenario, engine, figures, reason } = row;
  const name = engine === "ours" ? scenario : "";
  if (figures === undefined) {
    return [name, engine, ...HEAD.slice(3).map(() => ""), `n/a: ${reason ?? "not measured"}`];
  }
  const ratio = engine === "ours" ? 1 : wallRatio(rows, scenario);
  return [
    name,
    engine,
    describeRequests(figures),
    count(figures["trips"] ?? 0),
    kilobytes(figures["bytesDown"] ?? 0),
    kilobytes(figures["bytesUp"] ?? 0),
    count(figures["wallMs"] ?? 0),
    ratio === undefined ? "" : ratio.toFixed(ratio < 10 ? 1 : 0),
    dollars(dollarsOf(row)),
    count((figures["peakRssBytes"] ?? 0) / 1e6),
    [notesOf(figures), reason ?? ""].filter((note) => note !== "").join("; "),
  ];
}

export function describeRequests(figures: Figures): string {
  const kinds = REQUEST_KINDS.filter((kind) => (figures[kind] ?? 0) > 0);
  if (kinds.length === 0) return "none";
  return kinds.map((kind) => `${count(figures[kind] ?? 0)} ${kind}`).join(", ");
}

function notesOf({ lostWrites = 0, failed = 0 }: Figures): string {
  const notes: string[] = [];
  if (lostWrites > 0) notes.push(`${count(lostWrites)} acknowledged writes lost`);
  if (failed > 0) notes.push(`${count(failed)} requests failed`);
  return notes.join("; ");
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function kilobytes(bytes: number): string {
  const value = bytes / 1e3;
  return value < 10 ? value.toFixed(1) : count(value);
}

function dollars(value: number): string {
  return value < 100 ? value.toFixed(2) : count(value);
}
