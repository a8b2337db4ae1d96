/** Writes entries as runs of about the same size, which follow each other in id order. */
import { assert } from "../core/assert.ts";
import type { RunEntry } from "../core/version.ts";
import type { RunInfo } from "../format/run-info.ts";
import { StoredLine } from "../format/stored-line.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { type RunBatch, type RunBatches, writeRun, type WriteRunOptions } from "./run-writer.ts";
import { WholePartition } from "./whole-partition.ts";

export interface WriteRunsOptions extends Pick<
  WriteRunOptions,
  "base" | "compression" | "entries" | "layout" | "timeoutMs"
> {
  /** A run ends with the entry that reaches it. */
  readonly runBytesMax: number;
  /** Returns the names of a run and its index, which no other has. */
  readonly newPaths: () => { readonly path: string; readonly index: string };
}

/** Of a line beside its id and its text. */
const LINE_BYTES = 90;

/** About the length of an entry's line. */
export function entryBytes(entry: RunEntry): number {
  if (entry instanceof StoredLine) return entry.end - entry.start;
  return LINE_BYTES + entry.id.length + (entry.text?.length ?? 0);
}

/** @returns none where there are no entries @throws as `writeRun` does */
export async function writeRuns(
  backend: StorageBackend,
  { entries, runBytesMax, newPaths, ...options }: WriteRunsOptions,
): Promise<RunInfo[]> {
  const rest = new Rest(entries);
  const runs: RunInfo[] = [];
  try {
    while (await rest.hasMore()) {
      const { path, index: indexPath } = newPaths();
      const part = rest.take(runBytesMax);
      const run = await writeRun(backend, { ...options, path, indexPath, entries: part });
      if (run === undefined) continue;
      const { maxId = "" } = runs.at(-1) ?? {};
      assert(maxId < run.minId, `entries do not ascend at '${run.minId}'`);
      runs.push(run);
    }
    return runs;
  } finally {
    await rest.close();
  }
}

/** What was not taken yet of a sequence. */
class Rest {
  readonly #batches: AsyncIterator<RunBatch>;
  #batch: RunBatch = [];

  constructor(entries: RunBatches) {
    this.#batches = entries[Symbol.asyncIterator]();
  }

  async hasMore(): Promise<boolean> {
    while (!(this.#batch instanceof WholePartition) && this.#batch.length === 0) {
      const next = await this.#batches.next();
      if (next.done === true) return false;
      this.#batch = next.value;
    }
    return true;
  }

  async *take(bytesMax: number): AsyncGenerator<RunBatch> {
    let bytes = 0;
    while (bytes < bytesMax && (await this.hasMore())) {
      const batch = this.#batch;
      if (batch instanceof WholePartition) {
        // What is nearer: with it, or without.
        if (bytes > 0 && bytes + batch.bytes / 2 > bytesMax) return;
        bytes += batch.bytes;
        this.#batch = [];
        yield batch;
        continue;
      }
      const over = batch.findIndex((entry) => (bytes += entryBytes(entry)) >= bytesMax);
      const end = over < 0 ? batch.length : over + 1;
      this.#batch = batch.slice(end);
      yield batch.slice(0, end);
    }
  }

  async close(): Promise<void> {
    await this.#batches.return?.();
  }
}
