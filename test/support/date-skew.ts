import type { ProtocolSettings } from "../../src/core/settings.ts";
import type { StorageBackend } from "../../src/storage/backend.ts";

/**
 * Makes the backend say that its dates are as right as graces of seconds need: a test's medium has
 * one clock. By default a purge waits for minutes, because dates may be wrong by one.
 */
export function scaleDateSkew<B extends StorageBackend>(
  backend: B,
  settings: Partial<ProtocolSettings>,
): B {
  const { tombstoneGraceMs, writerLagMs } = settings;
  if (tombstoneGraceMs === undefined || writerLagMs === undefined) return backend;
  return Object.assign(backend, { dateSkewMs: (tombstoneGraceMs - writerLagMs - 1) / 4 });
}
