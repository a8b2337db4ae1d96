/** Figures of the contention as a table. Pure. */
import { DOLLARS_PER_MILLION } from "../cost.ts";
import type { Requests } from "./job.ts";

export interface Figure {
  readonly store: string;
  readonly scenario: string;
  readonly requests: Requests;
  /** Of all calls together. */
  readonly roundTrips: number;
  readonly calls: number;
  /** Where calls may fail: those that were carried out, what the records then count, and the others. */
  readonly done?: number | undefined;
  readonly stored?: number | undefined;
  readonly errors?: number | undefined;
  readonly ms: number;
}

const HEAD =
  "| call | store | requests a call | round trips | $ per million | calls a second | told done / counted |\n" +
  "|---|---|---|--:|--:|--:|---|\n";

export function markdown(figures: readonly Figure[]): string {
  return HEAD + figures.map(rowOf).join("\n");
}

function rowOf(figure: Figure): string {
  const { scenario, store, requests, calls, roundTrips, ms, done, stored } = figure;
  const each = (count: number): string => shown(count / Math.max(1, calls));
  const kinds = [
    ["GET", requests.get + requests.head],
    ["PUT", requests.put],
    ["LIST", requests.list],
  ] as const;
  const listed = kinds.flatMap(([name, count]) => (count === 0 ? [] : [`${each(count)} ${name}`]));
  const cells = [
    scenario,
    store,
    listed.join(", ") || "none",
    each(roundTrips),
    dollars(figure).toFixed(2),
    shown(calls / (ms / 1_000)),
    done === undefined ? "" : `${done} / ${stored}`,
  ];
  return `| ${cells.join(" | ")} |`;
}

/** Of a million calls. */
export function dollars({ requests, calls }: Pick<Figure, "requests" | "calls">): number {
  const { GET, PUT, LIST } = DOLLARS_PER_MILLION;
  const { get, head, put, list } = requests;
  return ((get + head) * GET + put * PUT + list * LIST) / Math.max(1, calls);
}

function shown(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, "");
}
