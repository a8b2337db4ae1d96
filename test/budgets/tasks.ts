/** The stores that are read and written under a budget, and what they hold. */
import { createHash } from "node:crypto";
import { expect } from "vitest";
import { mapParallel } from "../../src/core/parallel.ts";
import { segmentPath, streamName } from "../../src/format/paths.ts";
import type { StorageBackend } from "../../src/storage/backend.ts";
import { encoded } from "../log/support.ts";
import type { SettingOptions } from "../../src/core/settings.ts";
import { compact } from "../../src/compaction/compact.ts";
import { Store } from "../../src/store/store.ts";
import type { LiveBucket } from "../support/live-s3.ts";

/** A record of about 900 bytes. */
export interface Task {
  readonly title: string;
  readonly text: string;
}

/** In the large store, with the ids `idOf(0)`, `idOf(1)`, … */
export const RECORDS = 60_000;
const RECORD_BYTES = 900;
const BATCH = 5_000;

export function task(n: number): Task {
  return { title: `task ${n}`, text: `${n} `.repeat(RECORD_BYTES).slice(0, RECORD_BYTES - 40) };
}

export function idOf(n: number): string {
  return `task-${String(n).padStart(6, "0")}`;
}

/** The large store, compacted into one run. */
export async function fillLarge(live: LiveBucket, name: string): Promise<void> {
  const backend = live.backend();
  const options = { backend, agentId: "loader", skipLoad: true, blindWrites: true };
  const store = await Store.open<Task>(live.location(name), options);
  for (let from = 0; from < RECORDS; from += BATCH) {
    await store.batch(() => {
      for (let n = from; n < from + BATCH; n++) void store.set(idOf(n), task(n));
    });
  }
  await store.close();
  // Its log is more than one portion.
  const report = await compact(live.location(name), { backend: live.backend(), full: true });
  expect(report).toMatchObject({ outcome: "published", levels: 1, runs: 1, more: false });
}

/** A small store of its own for a test, compacted, with the records `old-0`..`old-99`. */
export async function fillSmall(
  live: LiveBucket,
  name: string,
  options: SettingOptions = {},
): Promise<void> {
  const given = { backend: live.backend(), agentId: "loader", ...options };
  const store = await Store.open<Task>(live.location(name), given);
  await store.batch(() => {
    for (let n = 0; n < 100; n++) void store.set(`old-${n}`, task(n));
  });
  await store.compact();
  await store.close();
}

/** Flushes of as many processes, which are newer than the store's last compaction. */
export async function leaveSegments(
  backend: StorageBackend,
  location: string,
  count: number,
): Promise<void> {
  await backend.initialize(location, { readOnly: false });
  const clock = Date.now() * 1_024;
  const numbers = Array.from({ length: count }, (_, n) => n);
  await mapParallel(numbers, 16, async (n) => {
    const rand = createHash("sha256").update(`${n}`).digest("hex").slice(0, 16);
    const [stream, lo] = [streamName({ agentId: "a", openMs: Date.now(), rand }), clock + n];
    const { bytes, filter } = encoded([`new-${n}`], lo);
    await backend.put(segmentPath({ stream, n: 1, lo, hi: lo, filter }), bytes, "none");
  });
}
