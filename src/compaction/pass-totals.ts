/** What a pass has done so far, and what it reports at its end. */
import { EMPTY_MANIFEST } from "../format/manifest-codec.ts";
import { lineBytes, type RunInfo } from "../format/run-info.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import { shapeOf } from "./measures.ts";
import type { MergedLog } from "./merge-log.ts";
import type { PublishedStep } from "./merge-step.ts";
import { runBytes, unitBytes } from "./plan.ts";
import type { PartialResult, Replaced } from "./report.ts";

export class PassTotals {
  deleted = 0;
  corrupt = 0;
  unitsMs = 0;
  /** Runs of levels that drain. */
  waiting: readonly RunInfo[] = [];
  /** All log that was listed is merged. */
  isDrained = false;
  readonly #merged = {
    publications: 0,
    segments: 0,
    claims: 0,
    operations: 0,
    runsMerged: 0,
    records: 0,
    bytes: 0,
    lineBytes: 0,
    logBytes: 0,
    portions: 0,
    collected: 0,
  };
  readonly #replaced: Replaced[] = [];
  readonly #keepsReplaced: boolean;
  #current: Pick<LoadedManifest, "manifest" | "dateMs"> = { manifest: EMPTY_MANIFEST, dateMs: 0 };

  /** @param keepsReplaced whether anybody asks for it: it names all log that was merged */
  constructor(keepsReplaced: boolean) {
    this.#keepsReplaced = keepsReplaced;
  }

  begin(loaded: LoadedManifest): void {
    this.#current = loaded;
  }

  /** @param claims how many of them were passed */
  count(step: PublishedStep, { merged, operations, done }: MergedLog, claims: number): void {
    const { loaded, newRuns, runsRetired, deleted, mergedDeleted, replaced } = step;
    const totals = this.#merged;
    totals.publications++;
    totals.segments += merged.length;
    totals.operations += operations;
    totals.claims += claims;
    totals.runsMerged += runsRetired;
    totals.records += newRuns.reduce((sum, { records }) => sum + records, 0);
    totals.bytes += newRuns.reduce((sum, { bytes }) => sum + bytes, 0);
    totals.lineBytes += newRuns.reduce((sum, run) => sum + lineBytes(run), 0);
    totals.logBytes += unitBytes(done);
    if (merged.length > 0) totals.portions++;
    this.deleted += deleted;
    totals.collected += deleted - mergedDeleted;
    this.#current = loaded;
    if (replaced !== undefined && this.#keepsReplaced) this.#replaced.push(replaced);
  }

  /** @param more whether there is work left */
  ended(more: boolean): PartialResult {
    const { generation } = this.#current.manifest;
    return this.#result(
      { outcome: "idle", generation, more, waiting: this.#describeWaiting() },
      more,
    );
  }

  endedBy(otherwise: PartialResult): PartialResult {
    return this.#result(otherwise, true);
  }

  #result(otherwise: PartialResult, more: boolean): PartialResult {
    const { deleted, corrupt, unitsMs, isDrained } = this;
    const counts = { ...this.#merged, deleted, corrupt, unitsMs };
    if (this.#merged.publications === 0) return { ...counts, ...otherwise };
    const { manifest, dateMs } = this.#current;
    return {
      outcome: "published",
      generation: manifest.generation,
      ...counts,
      ...shapeOf(manifest, dateMs),
      isDrained,
      replaced: this.#replaced,
      more,
      waiting: this.#describeWaiting(),
    };
  }

  #describeWaiting(): { readonly runs: number; readonly bytes: number } {
    return { runs: this.waiting.length, bytes: runBytes(this.waiting) };
  }
}
