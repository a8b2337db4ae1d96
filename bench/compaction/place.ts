/** The parts of the engine at a location, for what no public method does as fast. */
import { DEFAULT_SETTINGS, type ProtocolSettings } from "../../src/core/settings.ts";
import { systemRuntime } from "../../src/core/runtime.ts";
import { BackendClaim } from "../../src/engine/backend-claim.ts";
import { createEngine, type Engine } from "../../src/engine/engine.ts";
import { LightS3Backend } from "../../src/s3/light/index.ts";
import type { StorageBackend } from "../../src/storage/backend.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";

/** @param location `s3://bucket/prefix` on the server of OPSLOG_TEST_S3_ENDPOINT, or a directory */
export function backendOf(location: string): StorageBackend {
  if (!location.startsWith("s3://")) return new FsBackend({ fsync: false });
  const { OPSLOG_TEST_S3_ENDPOINT: endpoint } = process.env;
  return new LightS3Backend(endpoint === undefined ? {} : { endpoint });
}

export async function withEngine<R>(
  location: string,
  settings: Partial<ProtocolSettings>,
  act: (engine: Engine) => Promise<R>,
): Promise<R> {
  const backend = backendOf(location);
  const claim = await BackendClaim.take(backend, location, { readOnly: false });
  try {
    return await act(
      createEngine({
        backend,
        location: claim.location,
        runtime: systemRuntime,
        settings: { ...DEFAULT_SETTINGS, ...settings },
        onWarning: (message) => void process.stderr.write(`${message}\n`),
      }),
    );
  } finally {
    await claim.release();
  }
}
