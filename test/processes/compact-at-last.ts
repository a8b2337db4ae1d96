import { setTimeout as delay } from "node:timers/promises";
import type { CompactionReport } from "../../src/compaction/report.ts";
import { compact } from "../../src/compaction/compact.ts";
import { backendFor } from "./medium.ts";
import type { Settings } from "./worker.ts";

/** A dead compactor's lease ends by its age, which nothing announces. */
const LOOK_MS = 50;

/** Compacts when nobody else does any more: waits for the last lease to end. */
export async function compactAtLast(
  location: string,
  settings: Settings,
): Promise<CompactionReport> {
  for (;;) {
    const backend = await backendFor(location, settings);
    const report = await compact(location, { ...settings, backend, full: true });
    if (report.outcome === "published" || report.outcome === "idle") return report;
    await delay(LOOK_MS);
  }
}
