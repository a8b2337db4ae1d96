/** The stores compared, behind what the measurements need of them. Each is loaded when it is needed. */

export type EngineName = "ours" | "ours, fsync: false" | "original";
export const ENGINES: readonly EngineName[] = ["ours", "ours, fsync: false", "original"];

export interface BenchOptions {
  readonly writeMode?: "immediate" | "group" | "async";
  readonly checkpointThreshold?: number;
  readonly checkpointOnClose?: boolean;
  readonly skipLoad?: boolean;
  readonly readOnly?: boolean;
}

export interface BenchStore {
  set(id: string, value: object): void | Promise<void>;
  batch(fn: () => void): Promise<void>;
  flush(): Promise<void>;
  compact(): Promise<void>;
  close(): Promise<void>;
  streamSnapshot(): AsyncGenerator<[string, object]>;
  getWalOps(): AsyncGenerator<{ readonly id: string }>;
}

/** @param location a directory; of ours also `s3://bucket/prefix` on the server of the tests */
export async function openEngine(
  engine: EngineName,
  location: string,
  options: BenchOptions = {},
): Promise<BenchStore> {
  if (engine === "original") {
    const { Store } = await import("@backloghq/opslog");
    const store = new Store<object>();
    await store.open(location, options);
    return store;
  }
  const { Store } = await import("../src/store/store.ts");
  const backend = await backendOf(engine, location);
  // The grace period would keep every replaced run of a large store on the disk for an hour.
  return Store.open<object>(location, { ...options, backend, gcGraceMs: 0 });
}

async function backendOf(engine: EngineName, location: string) {
  if (location.startsWith("s3://")) {
    const { S3Backend } = await import("../src/s3/index.ts");
    const { OPSLOG_TEST_S3_ENDPOINT: endpoint } = process.env;
    return new S3Backend(endpoint === undefined ? {} : { endpoint });
  }
  const { FsBackend } = await import("../src/storage/fs/fs-backend.ts");
  return new FsBackend({ fsync: engine === "ours" });
}
