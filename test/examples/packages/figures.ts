/** The table at the end. */
import type { CompactionReport } from "opslog-serverless";
import type { Answer } from "./messages.ts";
import { count3 } from "./progress.ts";

export type Row = readonly [name: string, value: string];

/** What the passes of the compactor did, added up. */
export class Compactions {
  passes = 0;
  published = 0;
  segments = 0;
  operations = 0;
  /** Of all runs written: more than the store holds, since runs are merged again. */
  bytes = 0;

  #isWaiting = false;

  add({ outcome, segments, operations, bytes }: CompactionReport): void {
    this.passes++;
    this.#isWaiting = outcome === "busy";
    if (outcome !== "published") return;
    this.published++;
    this.segments += segments;
    this.operations += operations;
    this.bytes += bytes;
  }

  /** For the progress bar. */
  describe(): string {
    // One that was killed keeps its lease for a minute.
    if (this.#isWaiting) return "waiting for the lease of another compactor";
    const unit = this.published === 1 ? "compaction" : "compactions";
    return `${count3(this.published)} ${unit} of ${count3(this.segments)} segments`;
  }
}

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
export const milliseconds = (ms: number): string => `${ms.toFixed(1)} ms`;
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** A figure of an answer; an absent one would be a defect of the example. */
export function figure({ figures }: Answer, name: string): number {
  const value = figures[name];
  if (value === undefined) throw new Error(`no figure ${name}`);
  return value;
}

export function compactionRows({
  passes,
  published,
  segments,
  operations,
  bytes,
}: Compactions): Row[] {
  return [
    ["compaction passes", `${count3(passes)}, ${count3(published)} of them published`],
    ["segments compacted", `${count3(segments)} with ${count3(operations)} operations`],
    ["runs written", `${megabytes(bytes)} in all`],
  ];
}

/** @param sampled answer to `sample` @param isS3 whether requests were counted */
export function pointReadRows(sampled: Answer, isS3: boolean): Row[] {
  const of = (name: string): number => figure(sampled, name);
  const times = ["medianReadMs", "p95ReadMs", "firstReadMs"].map((name) => milliseconds(of(name)));
  const [median, p95, first] = times;
  const row: Row = [
    "lazy point read",
    `${median} median, ${p95} p95, ${first} the first (of ${of("reads")})`,
  ];
  if (!isS3) return [row];
  const [requests, bytes] = [of("requests") / of("reads"), of("bytesIn") / of("reads")];
  return [
    row,
    ["per point read", `${requests.toFixed(2)} requests, ${(bytes / 1e3).toFixed(0)} kB`],
  ];
}

export function formatTable(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join("");
}
