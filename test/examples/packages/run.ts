/** One run of the example, phase by phase. */
import { distribute } from "./child-process.ts";
import type { Crew } from "./crew.ts";
import {
  Compactions,
  compactionRows,
  figure,
  megabytes,
  milliseconds,
  pointReadRows,
  type Row,
  seconds,
} from "./figures.ts";
import { count3, Progress } from "./progress.ts";
import type { Entry } from "./record.ts";
import type { Source } from "./source.ts";

export interface RunOptions {
  readonly location: string;
  readonly writers: number;
  readonly source: Source;
}

export interface Outcome {
  /** For people, one for each record that is not as it should be. */
  readonly differences: readonly string[];
  readonly rows: readonly Row[];
}

/** Records of one batch: one durable unit of the log. */
const BATCH_RECORDS = 100;
/** Batches of one writer under way; those that wait share the next flush. */
const BATCHES_IN_FLIGHT = 4;
/** Records compared at a time. */
const CHECK_RECORDS = 500;
const CHECKS_IN_FLIGHT = 2;
/** Point reads that are timed one by one. */
const SAMPLE_READS = 200;

export class Run {
  readonly #options: RunOptions;
  readonly #crew: Crew;
  readonly #rows: Row[] = [];
  readonly #differences: string[] = [];

  constructor(options: RunOptions, crew: Crew) {
    this.#options = options;
    this.#crew = crew;
  }

  async all(): Promise<Outcome> {
    await this.#prepare();
    await this.#write();
    await this.#checkEager();
    await this.#checkLazy();
    this.#rows.push(...this.#crew.memoryRows());
    return { differences: this.#differences, rows: this.#rows };
  }

  get #entries(): ReadonlyMap<string, Entry[1]> {
    return this.#options.source.records;
  }

  /** An earlier run's records are set again; those that the source has not got are deleted. */
  async #prepare(): Promise<void> {
    const child = this.#crew.start("prepare", "prepare");
    const found = figure(await child.started(), "found");
    if (found === 0) return void (await child.finish());
    const bar = this.#progress("look");
    await this.#give([child], bar, { chunk: CHECK_RECORDS, inFlight: CHECKS_IN_FLIGHT });
    const deleted = figure(await this.#crew.finish(child), "deleted");
    bar.note(`found ${count3(found)} records of an earlier run, deleted ${count3(deleted)}`);
    bar.end();
  }

  async #write(): Promise<void> {
    const { writers, source } = this.#options;
    let bar: Progress | undefined;
    const compactions = new Compactions();
    const compactor = this.#crew.start("compactor", "compactor", (report) => {
      compactions.add(report);
      bar?.note(compactions.describe());
    });
    const children = Array.from({ length: writers }, (_, n) =>
      this.#crew.start("writer", `writer ${n + 1}`),
    );
    await Promise.all([compactor, ...children].map((child) => child.started()));
    bar = this.#progress("write");
    const startedMs = performance.now();
    await this.#give(children, bar, { chunk: BATCH_RECORDS, inFlight: BATCHES_IN_FLIGHT });
    const writeMs = performance.now() - startedMs;
    await Promise.all(children.map((child) => this.#crew.finish(child)));
    await this.#crew.finish(compactor);
    bar.end();
    const drainMs = performance.now() - startedMs - writeMs;
    const writesPerSecond = (this.#entries.size / writeMs) * 1000;
    this.#rows.push(
      ["write", `${seconds(writeMs)} with ${writers} writers and a compactor`],
      [
        "writes",
        `${count3(writesPerSecond)}/s, ${megabytes(source.jsonBytes / (writeMs / 1000))}/s`,
      ],
      ["compact the rest", seconds(drainMs)],
      ...compactionRows(compactions),
    );
  }

  async #checkEager(): Promise<void> {
    const bar = this.#progress("check eager");
    const child = this.#crew.start("eager", "eager reader");
    const started = await child.started();
    const startedMs = performance.now();
    await this.#give([child], bar, { chunk: CHECK_RECORDS, inFlight: CHECKS_IN_FLIGHT });
    this.#differences.push(...(await this.#crew.finish(child)).differences);
    bar.end();
    this.#rows.push(
      [
        "eager open",
        `${seconds(figure(started, "openMs"))}, ${count3(figure(started, "records"))} records`,
      ],
      ["eager check", seconds(performance.now() - startedMs)],
    );
  }

  async #checkLazy(): Promise<void> {
    const bar = this.#progress("check lazy");
    const isS3 = this.#options.location.startsWith("s3://");
    const child = this.#crew.start("lazy", "lazy reader");
    const started = await child.started();
    const sampled = await child.sample(this.#sample());
    this.#differences.push(...sampled.differences);
    const startedMs = performance.now();
    await this.#give([child], bar, { chunk: CHECK_RECORDS, inFlight: CHECKS_IN_FLIGHT });
    const checkMs = performance.now() - startedMs;
    const finished = await this.#crew.finish(child);
    this.#differences.push(...finished.differences);
    bar.end();
    const [size, objects] = [figure(finished, "bytes"), figure(finished, "objects")];
    const before = [figure(started, "openRequests"), figure(sampled, "requests")] as const;
    const openRequests = isS3 ? `, ${before[0]} requests` : "";
    const checkRequests = figure(finished, "requests") - before[0] - before[1];
    this.#rows.push(
      ["lazy open", `${milliseconds(figure(started, "openMs"))}${openRequests}`],
      ...pointReadRows(sampled, isS3),
      [
        "lazy check",
        `${seconds(checkMs)}${isS3 ? `, ${count3(checkRequests)} requests` : ""}, ${CHECK_RECORDS} records a call`,
      ],
      ["runs", count3(figure(finished, "runs"))],
      ["on the medium", `${megabytes(size)} in ${count3(objects)} objects`],
      [
        "of it retired",
        `${megabytes(figure(finished, "retiredBytes"))}, kept an hour for slow readers`,
      ],
    );
  }

  /** Spread over the whole source. */
  #sample(): Entry[] {
    const step = Math.max(1, Math.floor(this.#entries.size / SAMPLE_READS));
    return [...this.#entries].filter((_, at) => at % step === 0).slice(0, SAMPLE_READS);
  }

  #progress(label: string): Progress {
    return new Progress(process.stderr, label, this.#entries.size);
  }

  #give(
    children: Parameters<typeof distribute>[0],
    bar: Progress,
    sizes: Parameters<typeof distribute>[2],
  ): Promise<void> {
    return distribute(children, this.#entries, sizes, ({ differences }, count) => {
      this.#differences.push(...differences);
      bar.advance(count);
    });
  }
}
