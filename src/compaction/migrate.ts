/** Checkpoints of a program that migrates its records: they are rewritten under its version. */
import type { RunEntry } from "../core/version.ts";
import type { RunInfo } from "../format/run-info.ts";
import type { RunBatch, RunBatches } from "../runs/run-writer.ts";
import { WholePartition } from "../runs/whole-partition.ts";
import type { PassOptions } from "./report.ts";
import type { Migration } from "../core/schema.ts";

/** Whether a run holds records that the caller would migrate. */
export function isOutdated({ minSchema }: RunInfo, { migration }: PassOptions): boolean {
  return migration !== undefined && minSchema < migration.version;
}

/** Versions stay: a migrated record is the same one, and wins against its older form. */
export async function* migrateEntries(
  batches: RunBatches,
  migration: Migration | undefined,
): AsyncGenerator<RunBatch> {
  for await (const batch of batches) {
    // Partitions of older records are not copied.
    const isKept = migration === undefined || batch instanceof WholePartition;
    yield isKept ? batch : batch.map((entry) => migrateEntry(entry, migration));
  }
}

function migrateEntry(entry: RunEntry, { version, migrate }: Migration): RunEntry {
  if (entry.schemaVersion >= version) return entry;
  const { id, text, schemaVersion, since } = entry;
  // A tombstone is of every version.
  return {
    id,
    version: entry.version,
    since,
    schemaVersion: version,
    text: text === undefined ? undefined : migrate(id, text, schemaVersion),
  };
}
