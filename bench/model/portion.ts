/** Portions of the log of the model, and how long it takes to read one. */
import { countIn, type LogSpan, splitLog } from "./model-log.ts";
import type { Cluster } from "./shared.ts";

export interface Portion {
  readonly spans: readonly LogSpan[];
  readonly segments: number;
  readonly bytes: number;
  readonly readMs: number;
}

/**
 * As much as can be read in the time and merged in the memory.
 * @param listedPerLive keys that a listing shows for each segment that waits
 */
export function readPortion(
  { speed, limits, flushBytes, ledger }: Cluster,
  left: readonly LogSpan[],
  listedPerLive: number,
  mostMs: number,
): Portion {
  const timed = Math.floor(mostMs / speed.segmentMs);
  const sized = Math.floor(limits.logBytesMax / flushBytes);
  const most = Math.min(limits.logSegmentsMax, timed, sized);
  const { first: spans } = splitLog(left, Math.max(1, most));
  const segments = countIn(spans);
  ledger.requests.get += segments;
  const keys = segments * listedPerLive;
  ledger.requests.list += keys / 900;
  const readMs = speed.requestMs + segments * speed.segmentMs + keys * speed.keyMs;
  return { spans, segments, bytes: segments * flushBytes, readMs };
}
