/** Figures of several rounds: medians, ratios, tables. Pure. */
import { maxOf } from "../src/core/bulk.ts";
import type { Figures } from "./tasks.ts";

/** One line of a table: what was measured on what, and the medians of its rounds. */
export interface Row {
  readonly what: string;
  readonly engine: string;
  readonly rounds: number;
  readonly figures: Figures;
}

export function medians(rounds: readonly Figures[]): Figures {
  const names = [...new Set(rounds.flatMap((figures) => Object.keys(figures)))];
  return Object.fromEntries(
    names.map((name) => [name, median(rounds.map((figures) => figures[name] ?? 0))]),
  );
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

export function table(title: string, rows: readonly Row[]): string {
  const names = [...new Set(rows.flatMap(({ figures }) => Object.keys(figures)))];
  const lines = [
    ["", "", ...names],
    ...rows.map(({ what, engine, figures }) => [
      what,
      engine,
      ...names.map((name) => show(name, figures[name])),
    ]),
  ];
  const widths = lines[0]?.map((_, at) => maxOf(lines.map((line) => line[at]?.length ?? 0)));
  const text = lines.map((line) =>
    line
      .map((cell, at) =>
        at < 2 ? cell.padEnd(widths?.[at] ?? 0) : cell.padStart(widths?.[at] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
  return `${title}\n${text.join("\n")}\n`;
}

function show(name: string, value: number | undefined): string {
  if (value === undefined) return "";
  if (name.endsWith("Bytes") && value >= 1e6) return `${(value / 1e6).toFixed(1)} MB`;
  if (name.endsWith("Ms")) return value.toFixed(value < 10 ? 3 : 0);
  if (name.endsWith("Ratio")) return `${value.toFixed(2)}x`;
  return Math.round(value).toLocaleString("en");
}
