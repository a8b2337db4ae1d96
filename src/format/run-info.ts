/** How the manifest describes a run: enough to plan any read of it without another request. */

/** A part of a run's index, read by one ranged GET; covers consecutive blocks of the run. */
export interface IndexPartition {
  /** Every id of this partition is >= it, every id of the ones before is below it. */
  readonly separator: string;
  /** Where the partition's line lies in the index object, without the line feed. */
  readonly offset: number;
  readonly length: number;
  /** Where the partition's first block lies in the run; it reaches to the next one's, or the end. */
  readonly dataOffset: number;
  /** The checksum that its line carries, so that no other line is taken for it. */
  readonly crc?: string;
}

/** Ids with from <= id < to; without `to` all from `from` on. */
export interface IdSpan {
  readonly from: string;
  readonly to: string | undefined;
}

export interface RunInfo {
  readonly path: string;
  /** Path of the index object. */
  readonly index: string;
  /** Of the object. */
  readonly bytes: number;
  /** What they would be without compression, where the run is compressed. */
  readonly rawBytes?: number;
  /** Lines with a record or a tombstone. */
  readonly records: number;
  readonly tombstones: number;
  readonly minId: string;
  readonly maxId: string;
  /** Lowest schema version inside. */
  readonly minSchema: number;
  /** Of the whole run, hex. */
  readonly sha256: string;
  readonly partitions: readonly IndexPartition[];
  /** Its level: 0 is the newest. Runs of one level share no id, as far as they are visible. */
  readonly level: number;
  /** Generation that named it first; unknown in manifests of format 1. */
  readonly since?: number;
  /**
   * Date of the publication that took the oldest of its data from the log, ms since 1970 by the
   * medium's clock. Not noted in the oldest level.
   */
  readonly oldestMs?: number;
  /** Spans that newer runs have taken over, ascending and apart: what lies there counts no more. */
  readonly excised?: readonly IdSpan[];
}

/** What a merge of the run goes through: the same, however the run is stored. */
export function lineBytes({ bytes, rawBytes = bytes }: RunInfo): number {
  return rawBytes;
}
