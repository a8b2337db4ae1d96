/** Where a store of several processes lies; used by the tests and, bundled, by their workers. */
import type { ProtocolSettings } from "../../src/core/settings.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import type { StorageBackend } from "../../src/storage/backend.ts";
import { scaleDateSkew } from "../support/date-skew.ts";

/** A fresh place for one store, removed with all it holds on dispose. */
export interface Medium extends AsyncDisposable {
  /** A directory, or `s3://bucket/prefix` on the server of OPSLOG_TEST_S3_ENDPOINT. */
  readonly location: string;
}

/**
 * Loads S3 code for S3 locations only: a worker's start counts. `fsync` is for directories.
 * @param settings of the store: under short graces the medium's dates are as right as they need
 */
export async function backendFor(
  location: string,
  settings: Partial<ProtocolSettings> = {},
  fsync = true,
): Promise<StorageBackend> {
  if (!location.startsWith("s3://")) return scaleDateSkew(new FsBackend({ fsync }), settings);
  const { S3Backend } = await import("../../src/s3/index.ts");
  const endpoint = process.env["OPSLOG_TEST_S3_ENDPOINT"];
  // Fifty processes at once keep a small machine from answering a connection for seconds.
  return scaleDateSkew(new S3Backend({ endpoint, connectTimeoutMs: 10_000 }), settings);
}
