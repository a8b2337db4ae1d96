/** The processes that read: the store is opened anew and compared with the source. */
import { isDeepStrictEqual } from "node:util";
import { Store } from "opslog-serverless";
import { createBackend, measureMedium, type Traffic } from "./location.ts";
import type { Answer } from "./messages.ts";
import type { Entry, PackageRecord } from "./record.ts";
import { nothing, type Started, type WorkerContext } from "./worker.ts";

/** Holds every record of the store against those it is given; what is then left is too much. */
export async function startEagerReader({ location }: WorkerContext): Promise<Started> {
  const backend = await createBackend(location);
  const startedMs = performance.now();
  const store = await Store.open<PackageRecord>(location, { backend, readOnly: true });
  const openMs = performance.now() - startedMs;
  const unseen = new Map(store.entries());
  const worker = {
    handle: async (entries: readonly Entry[]): Promise<Answer> => {
      const differences = compare(entries, (id) => unseen.get(id));
      for (const [id] of entries) unseen.delete(id);
      return { differences, figures: {} };
    },
    sample: nothing,
    finish: async (): Promise<Answer> => {
      await store.close();
      const differences = [...unseen.keys()].map((id) => `${id}: not in the source`);
      return { differences, figures: {} };
    },
  };
  return { worker, figures: { openMs, records: unseen.size } };
}

/** Reads what it is given from the medium; nothing is loaded beforehand. */
export async function startLazyReader({ location }: WorkerContext): Promise<Started> {
  const traffic: Traffic = { requests: 0, bytesIn: 0 };
  const backend = await createBackend(location, traffic);
  const startedMs = performance.now();
  const options = { backend, readOnly: true, skipLoad: true, strictHydration: true };
  const store = await Store.open<PackageRecord>(location, options);
  const openMs = performance.now() - startedMs;
  const openRequests = traffic.requests;
  const worker = {
    handle: async (entries: readonly Entry[]): Promise<Answer> => {
      const found = await store.readMany(entries.map(([id]) => id));
      return { differences: compare(entries, (id) => found.get(id)), figures: {} };
    },
    sample: (entries: readonly Entry[]) => readOneByOne(store, entries, traffic),
    finish: async (): Promise<Answer> => {
      const absent = await store.read("no-such-package/0/none");
      const { requests } = traffic;
      const { objects, bytes, retiredBytes, runs } = await measureMedium(backend);
      await store.close();
      const differences = absent === undefined ? [] : ["no-such-package/0/none: it was found"];
      return { differences, figures: { objects, bytes, retiredBytes, runs, requests } };
    },
  };
  return { worker, figures: { openMs, openRequests } };
}

async function readOneByOne(
  store: Store<PackageRecord>,
  entries: readonly Entry[],
  traffic: Traffic,
): Promise<Answer> {
  const differences: string[] = [];
  const times: number[] = [];
  const before = { ...traffic };
  for (const [id, record] of entries) {
    const startedMs = performance.now();
    const found = await store.read(id);
    times.push(performance.now() - startedMs);
    differences.push(...compare([[id, record]], () => found));
  }
  const sorted = times.toSorted((a, b) => a - b);
  const figures = {
    reads: times.length,
    firstReadMs: times[0] ?? 0,
    medianReadMs: sorted[Math.floor(sorted.length / 2)] ?? 0,
    p95ReadMs: sorted[Math.floor(sorted.length * 0.95)] ?? 0,
    requests: traffic.requests - before.requests,
    bytesIn: traffic.bytesIn - before.bytesIn,
  };
  return { differences, figures };
}

function compare(
  entries: readonly Entry[],
  found: (id: string) => PackageRecord | undefined,
): string[] {
  const differences: string[] = [];
  for (const [id, expected] of entries) {
    const record = found(id);
    if (record === undefined) differences.push(`${id}: not in the store`);
    else if (!isDeepStrictEqual(record, expected)) {
      differences.push(`${id}: found ${shorten(record)}, expected ${shorten(expected)}`);
    }
  }
  return differences;
}

function shorten(record: PackageRecord): string {
  const text = JSON.stringify(record);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
