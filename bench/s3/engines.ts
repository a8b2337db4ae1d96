/** The two stores compared, behind what the measurements need of them. */
import { Store as OriginalStore } from "@backloghq/opslog";
import { S3Backend as OriginalBackend } from "@backloghq/opslog-s3";
import { withStore } from "../../src/lambda/index.ts";
import { S3Backend } from "../../src/s3/index.ts";
import { compact } from "../../src/compaction/compact.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { Store } from "../../src/store/store.ts";
import { liveS3Client } from "../../test/support/live-s3.ts";
import type { EngineName, Place } from "./tasks.ts";

export interface OpenOptions {
  readonly endpoint: string;
  /** A writer among others. Without: read only. */
  readonly agentId?: string;
  /** Everything resident. The original has no other mode. */
  readonly eager?: boolean;
}

export interface BenchStore {
  read(id: string): Promise<unknown>;
  readMany(ids: readonly string[]): Promise<ReadonlyMap<string, unknown>>;
  /** In the order of their ids; undefined where there is no such call. */
  scan(prefix: string): AsyncIterable<readonly [string, unknown]> | undefined;
  set(id: string, value: object): Promise<void>;
  refresh(): Promise<void>;
  /** Of the resident records. */
  count(): number;
  close(): Promise<void>;
}

export async function openStore(
  engine: EngineName,
  place: Place,
  options: OpenOptions,
): Promise<BenchStore> {
  return engine === "ours" ? openOurs(place, options) : openOriginal(place, options);
}

/** Merges the log, from nothing; what a scheduled function would do. */
export async function compactStore(
  engine: EngineName,
  place: Place,
  endpoint: string,
): Promise<void> {
  if (engine === "ours") {
    await compact(locationOf(place), { backend: new S3Backend({ endpoint }) });
    return;
  }
  const { store, close } = await openOriginalStore(place, { endpoint, agentId: "compactor" });
  await store.compact();
  await close();
}

/**
 * A function of a process that lives on: ours as `withStore` makes it, of the original one open
 * store that is refreshed, since a process that does not look misses what others wrote.
 */
export async function pointReader(
  engine: EngineName,
  place: Place,
  endpoint: string,
): Promise<(id: string) => Promise<unknown>> {
  if (engine === "original") {
    const { store } = await openOriginalStore(place, { endpoint, agentId: "point-reader" });
    return async (id) => {
      await store.refresh();
      return store.get(id);
    };
  }
  let invocations = 0;
  const handler = withStore<object, string>(
    { location: locationOf(place), backend: new S3Backend({ endpoint }) },
    (id, _, store) => store.read(id),
  );
  return async (id) => {
    const awsRequestId = `invocation-${++invocations}`;
    return handler(id, { awsRequestId, getRemainingTimeInMillis: () => 60_000 });
  };
}

export function locationOf({ bucket, prefix }: Place): string {
  return `s3://${bucket}/${prefix}`;
}

export function openOurStore(
  place: Place,
  endpoint: string,
  options: StoreOptions<object>,
): Promise<Store<object>> {
  const backend = new S3Backend({ endpoint });
  return Store.open<object>(locationOf(place), { ...options, backend });
}

async function openOurs(
  place: Place,
  { endpoint, agentId, eager = false }: OpenOptions,
): Promise<BenchStore> {
  const mode = agentId === undefined ? { readOnly: true } : { agentId };
  const store = await openOurStore(place, endpoint, {
    ...mode,
    skipLoad: !eager,
    checkpointOnClose: false,
    checkpointThreshold: Infinity,
  });
  return {
    read: (id) => store.read(id),
    readMany: (ids) => store.readMany(ids),
    scan: (prefix) => (canScan(store) ? store.scan({ prefix }) : undefined),
    set: (id, value) => store.set(id, value),
    refresh: () => store.refresh(),
    count: () => store.count(),
    close: () => store.close(),
  };
}

interface Scannable {
  scan(options: { readonly prefix: string }): AsyncIterable<[string, object]>;
}

function canScan(store: object): store is Scannable {
  return "scan" in store;
}

async function openOriginal(place: Place, options: OpenOptions): Promise<BenchStore> {
  const { store, close } = await openOriginalStore(place, options);
  return {
    read: (id) => Promise.resolve(store.get(id)),
    readMany: (ids) => Promise.resolve(new Map(ids.map((id) => [id, store.get(id)]))),
    scan: (prefix) => filtered(store, prefix),
    set: async (id, value) => store.set(id, value),
    refresh: () => store.refresh(),
    count: () => store.count(),
    close,
  };
}

/** It has no order and no scan; its `filter` returns no ids. */
async function* filtered(
  store: OriginalStore<object>,
  prefix: string,
): AsyncGenerator<[string, object]> {
  const entries = store.entries().filter(([id]) => id.startsWith(prefix));
  yield* entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
}

async function openOriginalStore(
  { bucket, prefix }: Place,
  { endpoint, agentId }: OpenOptions,
): Promise<{ readonly store: OriginalStore<object>; readonly close: () => Promise<void> }> {
  const client = liveS3Client(endpoint);
  const store = new OriginalStore<object>();
  await store.open("", {
    backend: new OriginalBackend({ bucket, prefix, client }),
    ...(agentId === undefined ? { readOnly: true } : { agentId }),
    checkpointOnClose: false,
    checkpointThreshold: Infinity,
  });
  const close = async (): Promise<void> => {
    await store.close();
    client.destroy();
  };
  return { store, close };
}
