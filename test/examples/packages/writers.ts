/** The processes that write: they set the records, or merge what was written. */
import { setTimeout as sleep } from "node:timers/promises";
import { compact, Store } from "opslog-serverless";
import { createBackend } from "./location.ts";
import type { Answer } from "./messages.ts";
import { type Entry, packageId, type PackageRecord } from "./record.ts";
import { NOTHING, nothing, type Started, type WorkerContext } from "./worker.ts";

const DELETES_PER_BATCH = 1000;
/** Between two passes of the compactor, so that a pass finds something to merge. */
const COMPACTION_PAUSE_MS = 200;

/**
 * Looks at what the location holds before anything is written there: a store of anything but
 * packages is refused, packages that the source does not have (any more) are deleted.
 */
export async function startPreparer({ location, agentId }: WorkerContext): Promise<Started> {
  const backend = await createBackend(location);
  const options = { backend, agentId, checkpointThreshold: Infinity, checkpointOnClose: false };
  const store = await Store.open<PackageRecord>(location, options);
  const leftovers = new Set<string>();
  for (const [id, record] of store.entries()) {
    if (packageId(record) !== id) {
      await store.close();
      throw new Error(
        `${location} holds other records than Debian packages, for example ${JSON.stringify(id)}: ` +
          "give an empty location; nothing was changed",
      );
    }
    leftovers.add(id);
  }
  const found = leftovers.size;
  const worker = {
    handle: async (entries: readonly Entry[]): Promise<Answer> => {
      for (const [id] of entries) leftovers.delete(id);
      return NOTHING;
    },
    sample: nothing,
    finish: async (): Promise<Answer> => {
      const ids = [...leftovers];
      for (let at = 0; at < ids.length; at += DELETES_PER_BATCH) {
        await store.batch(() => {
          for (const id of ids.slice(at, at + DELETES_PER_BATCH)) void store.delete(id);
        });
      }
      await store.close();
      return { differences: [], figures: { deleted: ids.length } };
    },
  };
  return { worker, figures: { found } };
}

/** One batch a call; the calls that are under way together share flushes. */
export async function startWriter({ location, agentId }: WorkerContext): Promise<Started> {
  const backend = await createBackend(location);
  const options = { backend, agentId, skipLoad: true, blindWrites: true };
  const store = await Store.open<PackageRecord>(location, options);
  const worker = {
    handle: async (entries: readonly Entry[]): Promise<Answer> => {
      await store.batch(() => {
        for (const [id, record] of entries) void store.set(id, record);
      });
      return NOTHING;
    },
    sample: nothing,
    finish: async (): Promise<Answer> => {
      await store.close();
      return NOTHING;
    },
  };
  return { worker, figures: {} };
}

/** Compacts in a loop; after `finish` until nothing is left to compact. */
export async function startCompactor({ location, onPass, fail }: WorkerContext): Promise<Started> {
  const backend = await createBackend(location);
  let finishing = false;
  const loop = async (): Promise<void> => {
    for (;;) {
      const isLast = finishing;
      const report = await compact(location, { backend });
      onPass(report);
      if (isLast && report.outcome === "idle") return;
      const isDraining = isLast && report.outcome === "published";
      if (!isDraining) await sleep(COMPACTION_PAUSE_MS);
    }
  };
  const looping = loop();
  looping.catch(fail);
  const worker = {
    handle: nothing,
    sample: nothing,
    finish: async (): Promise<Answer> => {
      finishing = true;
      await looping;
      return NOTHING;
    },
  };
  return { worker, figures: {} };
}
