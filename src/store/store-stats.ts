import { archiveNames } from "./manifest-info.ts";
import type { Session } from "./session.ts";

export interface StoreStats {
  /** Records in memory: all of an eager store. */
  readonly activeRecords: number;
  /** Operations in the log that no snapshot holds yet, as far as this store has seen them. */
  readonly opsCount: number;
  readonly archiveSegments: number;
  /** Parts of the log that could not be read and were skipped. */
  readonly corruptSegments: number;
}

export function describeStats({ records, replica, operationCount }: Session): StoreStats {
  return {
    activeRecords: records.visible.size,
    opsCount: operationCount,
    archiveSegments: archiveNames(replica.view).length,
    corruptSegments: replica.corruptCount,
  };
}
