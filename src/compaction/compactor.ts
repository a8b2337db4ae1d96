/**
 * One compaction pass (PROTOCOL, C1 to C10): looks whether there is work, takes the lease, does
 * it, releases the lease. Any process may run it, and several at once are harmless.
 */
import { ConflictError } from "../core/errors.ts";
import { namesRun } from "../format/levels.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import { Lease } from "../storage/lease.ts";
import { type Look, look } from "./look.ts";
import { amplificationOf, expectedWrites, forecastOf, paceOf } from "./measures.ts";
import { MergePass } from "./merge-pass.ts";
import type { CompactorParts, PartialResult, PassOptions, PassResult } from "./report.ts";
import { checkTask, leasePathOf } from "./tasks.ts";

const NOTHING = {
  publications: 0,
  segments: 0,
  claims: 0,
  operations: 0,
  runsMerged: 0,
  records: 0,
  bytes: 0,
  lineBytes: 0,
  logBytes: 0,
  unitsMs: 0,
  deleted: 0,
  collected: 0,
  corrupt: 0,
  more: false,
};

export class Compactor {
  readonly #parts: CompactorParts;

  constructor(parts: CompactorParts) {
    this.#parts = parts;
  }

  /**
   * @throws what the backend throws; CorruptionError when a run or the manifest cannot be read;
   *   NotSupportedError when the medium ignores preconditions
   */
  async pass(options: PassOptions = {}): Promise<PassResult> {
    const { runtime, settings, backend, pace } = this.#parts;
    const startedMs = runtime.nowMs();
    const result = (part: PartialResult): PassResult => {
      const durationMs = runtime.nowMs() - startedMs;
      return this.#report(current, part, durationMs);
    };
    const current = await look(this.#parts, options);
    const task =
      options.task ?? (current.wanted ? await options.divide?.(current.found) : undefined);
    const { signal } = options;
    const { generation } = current.manifest;
    // A store without a manifest has no parts.
    const hasPart = checkTask(task) === undefined || generation > 0;
    if (!current.wanted || !hasPart) return result({ outcome: "idle", generation });
    await this.#parts.manifests.prove(current.manifest, this.#parts);
    const path = leasePathOf(task);
    const lease = await Lease.take(backend, runtime, { path, ttlMs: settings.leaseTtlMs });
    if (lease === undefined) return result({ outcome: "busy", generation });
    const pass = new MergePass(
      this.#parts,
      lease,
      { ...options, task },
      current.floor,
      current.seen,
    );
    try {
      return result(await pass.run());
    } catch (error) {
      if (signal?.aborted === true && error === signal.reason) {
        const ended = pass.endedBy({ outcome: "stopped", generation, more: true });
        if (ended.outcome === "stopped") pace.cutOff(runtime.steadyMs());
        return result(ended);
      }
      // 404 of a run: another pass has replaced it (C5).
      if (error instanceof RunGoneError) {
        return result(pass.endedBy(await this.#lostToAnother(error)));
      }
      // A name of 64 random bits is taken: by a write of this pass that was repeated on the way.
      if (error instanceof ConflictError) {
        return result(pass.endedBy({ outcome: "lost", generation }));
      }
      throw error;
    } finally {
      await lease.release().catch((error: unknown) => {
        // What was published counts all the same; the lease ends by its age.
        this.#parts.onWarning(`${path} could not be released: ${String(error)}`);
      });
    }
  }

  #report(
    { found, arriving }: Look,
    { replaced = [], isDrained = false, portions = 0, ...part }: PartialResult,
    durationMs: number,
  ): PassResult {
    const { limits, pace: known } = this.#parts;
    const done = { ...NOTHING, ...found, ...part, durationMs };
    const left = found.backlog.segments - done.segments - done.corrupt;
    const pace = paceOf(done);
    known.arrivals.merged(done.segments);
    const report = {
      ...done,
      amplification: amplificationOf(done),
      expectedAmplification: expectedWrites(done, { ...done, portions }, limits),
      pace,
      forecast: forecastOf(isDrained ? 0 : Math.max(0, left), arriving, pace, done.outcome),
    };
    return { report, replaced };
  }

  /** A run that the current manifest still names must be there: otherwise the store is damaged. */
  async #lostToAnother(error: RunGoneError): Promise<PartialResult> {
    const found = await this.#parts.manifests.load();
    const { manifest, legacyManifest } = found;
    const snapshot = legacyManifest?.currentSnapshot;
    if (snapshot !== undefined && snapshot === error.path) throw error.asDamage();
    const { path } = error;
    if (path === undefined) return { outcome: "lost", generation: manifest.generation };
    if (manifest.catalogues.some((catalogue) => catalogue.path === path)) throw error;
    try {
      const opened = await this.#parts.manifests.open(found);
      if (namesRun(opened.manifest, path)) throw error;
    } catch (gone) {
      // Another has published again, and what it replaced is deleted: all of that anew.
      if (gone === error || !(gone instanceof RunGoneError)) throw gone;
      return this.#lostToAnother(gone);
    }
    return { outcome: "lost", generation: manifest.generation };
  }
}
