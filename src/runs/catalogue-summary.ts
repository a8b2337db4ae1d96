/** What the manifest keeps of the runs that a catalogue describes. Pure. */
import { minOf } from "../core/bulk.ts";
import type { RunsSummary } from "../format/catalogue.ts";
import { lineBytes, type RunInfo } from "../format/run-info.ts";
import { visibleBytes, visibleSpans } from "./visible.ts";

/** @param runs of each of which something counts, at least one */
export function summarizeRuns(runs: readonly RunInfo[]): RunsSummary {
  const sum = (of: (run: RunInfo) => number): number =>
    runs.reduce((total, run) => total + of(run), 0);
  const spans = runs.flatMap((run) => visibleSpans(run));
  const [from, to] = [spans.map((span) => span.from), spans.map((span) => span.to)];
  const dates = runs.flatMap(({ oldestMs }) => oldestMs ?? []);
  return {
    runs: runs.length,
    bytes: sum(({ bytes }) => bytes),
    visibleBytes: Math.round(sum(visibleLineBytes)),
    records: sum(({ records }) => records),
    tombstones: sum(({ tombstones }) => tombstones),
    from: from.reduce((least, id) => (id < least ? id : least)),
    to: to.reduce((most, id) => (id > most ? id : most)),
    minSchema: minOf(runs.map(({ minSchema }) => minSchema)),
    ...(dates.length === 0 ? {} : { oldestMs: minOf(dates) }),
  };
}

/** Bytes of the lines of a run that count. */
export function visibleLineBytes(run: RunInfo): number {
  return (visibleBytes(run) / run.bytes) * lineBytes(run);
}
