/** What users see of the manifest, under the names that programs of the original opslog use. */
import { described } from "../format/levels.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import { archiveName, LOG_PREFIX, MANIFEST_PATH } from "../format/paths.ts";
import type { ManifestStats } from "../legacy/validate.ts";
import type { View } from "../view/view.ts";

/** What `Store.getManifest` returns. */
export interface ManifestInfo {
  /**
   * Path of the newest run, or of the object that describes it where there are many; "manifest.json"
   * while there is none and the manifest is everything.
   */
  readonly currentSnapshot: string;
  /** Path of the newest live log segment; "ops/" while the log is empty. */
  readonly activeOps: string;
  /** One name a period, as `listArchiveSegments` returns them. */
  readonly archiveSegments: readonly string[];
  /**
   * `activeRecords`, `archivedRecords`: as of the last checkpoint. `opsCount`: operations in the
   * log, as far as this store has read or written them. `created`, `lastCheckpoint`: ISO 8601, by
   * the medium's clock.
   */
  readonly stats: Readonly<ManifestStats>;
}

export function describeManifest(view: View, opsCount: number): ManifestInfo {
  const { segments, loaded, legacy } = view;
  const { manifest, dateMs } = loaded;
  const newestRun = manifest.runs.at(-1) ?? manifest.catalogues.at(-1);
  const newest = segments.reduce((hi, ref) => Math.max(hi, ref.hi), 0);
  const stats = legacy?.manifest.stats ?? manifest.stats;
  const looked = new Date(dateMs).toISOString();
  return {
    currentSnapshot: legacy?.run.path ?? newestRun?.path ?? MANIFEST_PATH,
    activeOps:
      segments.find(({ hi }) => hi === newest)?.path ?? legacy?.manifest.activeOps ?? LOG_PREFIX,
    archiveSegments: archiveNames(view),
    stats: {
      activeRecords: stats?.activeRecords ?? countRecords(manifest),
      archivedRecords: stats?.archivedRecords ?? 0,
      opsCount,
      created: stats?.created ?? looked,
      lastCheckpoint: stats?.lastCheckpoint ?? looked,
    },
  };
}

/** `archive/archive-<period>.json` of each period, sorted: legacy archives have such names. */
export function archiveNames({ loaded: { manifest }, legacy }: View): string[] {
  const periods = [...manifest.listedArchives.periods, ...manifest.archive.map((a) => a.period)];
  const names = periods.map((period) => archiveName(period));
  return [...new Set([...(legacy?.manifest.archiveSegments ?? []), ...names])].toSorted();
}

/** For a manifest of before it counted them: a record that several runs hold counts in each. */
function countRecords(manifest: Manifest): number {
  return described(manifest).reduce((sum, run) => sum + run.records - run.tombstones, 0);
}
