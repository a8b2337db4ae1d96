/** One single writer at a time: the medium's own lock where it has one, else a lease. */
import { LockedError } from "../core/errors.ts";
import { WRITER_LEASE_PATH, WRITER_LOCK_PATH } from "../format/paths.ts";
import { Lease } from "../storage/lease.ts";
import type { StoreParts } from "./parts.ts";

export interface WriterLock {
  /** @throws LockedError once another writer took over */
  check(): void;
  release(): Promise<void>;
}

/** @throws LockedError while another single writer has the store open */
export async function takeWriterLock({
  backend,
  runtime,
  settings,
}: StoreParts): Promise<WriterLock> {
  if (backend.lock !== undefined) {
    const handle = await backend.lock(WRITER_LOCK_PATH);
    return { check: () => undefined, release: () => handle.release() };
  }
  const path = WRITER_LEASE_PATH;
  const lease = await Lease.take(backend, runtime, { path, ttlMs: settings.leaseTtlMs });
  if (lease === undefined) {
    throw new LockedError(
      `Store is locked by another agent. Lock key: ${path}. Its lease ends ${settings.leaseTtlMs} ms ` +
        "after its holder stops; open with an agentId to write beside others",
      { path },
    );
  }
  const check = (): void => {
    if (!lease.lost) return;
    throw new LockedError(
      `${path} was lost: another writer took over, or it could not be renewed; open the store again`,
      { path, cause: lease.lostBecause },
    );
  };
  return { check, release: () => lease.release() };
}
