/**
 * The first compaction of a legacy store (PROTOCOL, O4): its snapshot and log become runs, which
 * generation 1 names in place of them. No legacy object is changed before that, and none is deleted
 * for a grace period after it.
 */
import { append } from "../core/bulk.ts";
import { ConflictError, CorruptionError } from "../core/errors.ts";
import type { Entry, RunEntry } from "../core/version.ts";
import { type ArchiveInfo, NO_LISTED } from "../format/archive-list.ts";
import {
  isLegacyLog,
  isLegacySnapshot,
  LOG_PREFIX,
  retiredListPath,
  runPaths,
  RUNS_PREFIX,
} from "../format/paths.ts";
import { encodeRetiredList } from "../format/retired-list.ts";
import { versionOf } from "../format/segment.ts";
import { lineBytes, type RunInfo } from "../format/run-info.ts";
import { legacyPeriod, surveyArchive } from "../legacy/archive.ts";
import type { LegacyStore } from "../legacy/legacy-store.ts";
import { fromMap, mergeSorted } from "../runs/merge.ts";
import { writeRun } from "../runs/run-writer.ts";
import type { Lease } from "../storage/lease.ts";
import { listReferable } from "../view/lost-manifest.ts";
import { makeView, type View } from "../view/view.ts";
import { orphans } from "./collector.ts";
import { shapeOf } from "./measures.ts";
import { hasUnit } from "./plan.ts";
import { preparePublication, publicationNonce } from "./publication.ts";
import type { CompactorParts, PartialResult } from "./report.ts";

/** Of the empty manifest, which stands for the legacy one. */
const BASE = 0;
const LOST = { outcome: "lost", generation: BASE } as const;

export class UpgradePass {
  readonly #parts: CompactorParts;
  readonly #lease: Lease;

  constructor(parts: CompactorParts, lease: Lease) {
    this.#parts = parts;
    this.#lease = lease;
  }

  /** @throws CorruptionError when the snapshot cannot be read, RunGoneError when it is gone */
  async run(): Promise<PartialResult> {
    const { backend, manifests, log, limits } = this.#parts;
    const view = await makeView(manifests, log);
    const { legacy } = view;
    if (legacy === undefined) return LOST;
    await manifests.confirm(view.loaded, view.legacyLog);
    for (const { message } of view.corrupt) this.#warn(message);
    const left = await listReferable(backend);

    const runs = await this.#writeRuns(legacy);
    const activeRecords = await this.#countRecords(runs);
    const archived = await this.#countArchives(legacy);
    const retired = await this.#writeRetiredList(legacy);
    const next = preparePublication(
      view.loaded,
      {
        nonce: this.#nonce(legacy, runs),
        dateMs: view.loaded.dateMs,
        // Its parts share ids.
        levels: runs.map((run) => ({ runs: [run], isDraining: false })).toReversed(),
        clock: legacy.segments.reduce((max, { hi }) => Math.max(max, hi), 0),
        schema: legacy.run.head.version,
        activeRecords,
        archives: { archive: archived, listedArchives: NO_LISTED },
        created: legacy.manifest.stats.created,
        retired: [retired],
        // Another upgrade of the same store: it cannot be published any more.
        collected: BASE + 1,
      },
      this.#parts.settings,
    );
    if (this.#lease.lost || !(await this.#isUnchanged(view))) return LOST;
    const { writeTimeoutMs } = this.#parts.settings;
    const published = await manifests.publish(view.loaded, next.manifest, writeTimeoutMs);
    if (published === undefined) return { ...LOST, more: true };

    const garbage = orphans(published.manifest, left);
    await backend.delete(garbage);
    const { segments } = legacy;
    return {
      outcome: "published",
      publications: 1,
      generation: published.manifest.generation,
      segments: segments.length,
      operations: segments.length,
      records: runs.reduce((sum, run) => sum + run.records, 0),
      bytes: runs.reduce((sum, run) => sum + run.bytes, 0),
      lineBytes: runs.reduce((sum, run) => sum + lineBytes(run), 0),
      ...shapeOf(published.manifest, published.dateMs),
      deleted: garbage.length,
      corrupt: view.corrupt.length,
      // What this store's own writers have written meanwhile is for an ordinary pass.
      more:
        view.segments.length > segments.length ||
        hasUnit({ manifest: published.manifest, limits, overdueMs: -Infinity }),
      replaced: [
        {
          runs: runs.map(({ path }) => path),
          sources: [legacy.fingerprint, ...segments.map(({ key }) => key)],
        },
      ],
    };
  }

  #warn(message: string): void {
    this.#parts.onWarning(`not compacted, because it cannot be read: ${message}`);
  }

  /** The snapshot in parts that fit in memory, and the winners of the log, deletions included. */
  async #writeRuns({ run, segments }: LegacyStore): Promise<RunInfo[]> {
    const runs: RunInfo[] = [];
    for await (const entries of inParts(run.entries(), this.#parts.limits.logBytesMax)) {
      append(runs, await this.#writeRun(entries));
    }
    const logged = new Map<string, Entry>();
    // In the order of their versions: a later one wins.
    for (const segment of segments.flatMap((ref) => ref.segments ?? [])) {
      const { schemaVersion, operations } = segment;
      for (const operation of operations) {
        const { id, op, data } = operation;
        const text = op === "set" ? JSON.stringify(data) : undefined;
        logged.set(id, { version: versionOf(segment, operation), schemaVersion, text });
      }
    }
    return [...runs, ...(await this.#writeRun(logged))];
  }

  async #writeRun(entries: ReadonlyMap<string, Entry>): Promise<RunInfo[]> {
    const { backend, runtime, settings, compression } = this.#parts;
    const { path, index } = runPaths(BASE, runtime.randomHex(16));
    const run = await writeRun(backend, {
      path,
      indexPath: index,
      base: BASE,
      compression,
      entries: fromMap(entries),
      timeoutMs: settings.writeTimeoutMs,
    });
    return run === undefined ? [] : [run];
  }

  /** Reads back all that was written, which also shows that it can be read. */
  async #countRecords(runs: readonly RunInfo[]): Promise<number> {
    const scans = runs.map((run) => this.#parts.runs.open(run).scan());
    let records = 0;
    for await (const batch of mergeSorted(scans)) {
      for (const { text } of batch) if (text !== undefined) records++;
    }
    return records;
  }

  /** Archives stay as they are; one that cannot be read stays listed, and loading it throws. */
  async #countArchives({ manifest }: LegacyStore): Promise<ArchiveInfo[]> {
    const found: ArchiveInfo[] = [];
    for (const path of new Set(manifest.archiveSegments)) {
      const facts = await surveyArchive(this.#parts.backend, path).catch((error: unknown) => {
        if (!(error instanceof CorruptionError)) throw error;
        this.#parts.onWarning(`an archive cannot be read: ${error.message}`);
        return { records: 0 };
      });
      found.push({ period: legacyPeriod(path), path, ...facts });
    }
    return found;
  }

  /**
   * Names all legacy objects that are not needed any more. A log with lines that cannot be read is
   * not among them: it stays, as whatever cannot be read does.
   */
  async #writeRetiredList({
    manifest,
    corrupt,
  }: LegacyStore): Promise<{ readonly path: string; readonly list: true }> {
    const { backend, runtime, settings } = this.#parts;
    const kept = new Set(corrupt.map(({ path }) => path));
    const paths = new Set([manifest.currentSnapshot]);
    for (const prefix of [LOG_PREFIX, RUNS_PREFIX]) {
      for await (const { objects } of backend.list(prefix)) {
        for (const object of objects) {
          if (isLegacyLog(object.path) || isLegacySnapshot(object.path)) paths.add(object.path);
        }
      }
    }
    const body = encodeRetiredList([...paths].filter((path) => !kept.has(path)).toSorted());
    const path = retiredListPath(BASE, runtime.randomHex(16));
    const timeoutMs = settings.writeTimeoutMs;
    const put = await backend.put(path, body, { ifAbsent: true }, { timeoutMs });
    if (put.status === "conflict") throw new ConflictError(`${path} exists already`, { path });
    return { path, list: true };
  }

  /** Bound to what is published. */
  #nonce({ fingerprint }: LegacyStore, runs: readonly RunInfo[]): string {
    const paths = runs.map(({ path }) => path);
    return publicationNonce(this.#parts.runtime.randomHex(16), [fingerprint, ...paths]);
  }

  /** A legacy writer appends without touching the manifest: what it wrote must count. */
  async #isUnchanged({ legacy }: View): Promise<boolean> {
    const { manifests, log } = this.#parts;
    const now = await makeView(manifests, log);
    return now.legacy?.fingerprint === legacy?.fingerprint;
  }
}

/**
 * Later parts have a higher `w`: of two lines for one id the later one counts, also when they end
 * up in different runs.
 */
async function* inParts(
  snapshot: AsyncIterable<readonly RunEntry[]>,
  bytesMax: number,
): AsyncGenerator<Map<string, Entry>> {
  let entries = new Map<string, Entry>();
  let [bytes, part] = [0, 0];
  for await (const batch of snapshot) {
    for (const { id, version, schemaVersion, text } of batch) {
      const writerNonce = part.toString(16).padStart(16, "0");
      entries.set(id, { version: { ...version, writerNonce }, schemaVersion, text });
      bytes += id.length + (text?.length ?? 0);
      if (bytes < bytesMax) continue;
      yield entries;
      entries = new Map();
      [bytes, part] = [0, part + 1];
    }
  }
  if (entries.size > 0) yield entries;
}
