/** Counts what a compactor does between one publication and the next, at the backend that it uses. */
import type { CompactorReport } from "../../src/lambda/types.ts";
import type { StorageBackend } from "../../src/storage/backend.ts";

export type CostAnswer = Pick<
  CompactorReport,
  "outcome" | "generation" | "segments" | "operations" | "records" | "publications"
> &
  Pick<CompactorReport, "passes" | "conflicts" | "levels" | "runs" | "more" | "cost" | "backlog">;

/** A step: all that led to one publication. */
export interface StepFigures {
  /** Since the publication before, or since the watch began. */
  readonly stepMs: number;
  /** The PUT that replaced the manifest. */
  readonly putMs: number;
  readonly manifestBytes: number;
  /** Of objects in `snapshots/`, as they are stored. */
  readonly readBytes: number;
  readonly writtenBytes: number;
}

const MANIFEST = "manifest.json";
const RUNS = "snapshots/";

/** Watches all calls on this very backend from now on. @returns the steps so far, which grow */
export function watch(backend: StorageBackend): readonly StepFigures[] {
  const steps: StepFigures[] = [];
  let [readBytes, writtenBytes, sinceMs] = [0, 0, performance.now()];
  const { get, put } = { get: backend.get.bind(backend), put: backend.put.bind(backend) };
  const counted = async function* (body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      writtenBytes += piece.length;
      yield piece;
    }
  };
  backend.get = async (path, options) => {
    const found = await get(path, options);
    if (found.status === "found" && path.startsWith(RUNS)) readBytes += found.body.length;
    return found;
  };
  backend.put = async (path, body, precondition, options) => {
    const beganMs = performance.now();
    const isRun = path.startsWith(RUNS);
    const isWhole = body instanceof Uint8Array;
    if (isRun && isWhole) writtenBytes += body.length;
    const sent = isRun && !isWhole ? counted(body) : body;
    const written = await put(path, sent, precondition, options);
    if (path !== MANIFEST || written.status !== "written") return written;
    const nowMs = performance.now();
    const manifestBytes = isWhole ? body.length : 0;
    const figures = { stepMs: nowMs - sinceMs, putMs: nowMs - beganMs };
    steps.push({ ...figures, manifestBytes, readBytes, writtenBytes });
    [readBytes, writtenBytes, sinceMs] = [0, 0, nowMs];
    return written;
  };
  return steps;
}
