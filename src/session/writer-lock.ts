/** One single writer at a time: the medium's own lock where it has one, else a lease. */
import { LockedError, UnavailableError } from "../core/errors.ts";
import { messageOf } from "../core/realm.ts";
import { WRITER_LEASE_PATH, WRITER_LOCK_PATH } from "../format/paths.ts";
import { Lease } from "../storage/lease.ts";
import type { Engine } from "../engine/engine.ts";

export interface WriterLock {
  /**
   * To be called before each flush.
   * @param seenMs the latest date that a response of the medium carried
   * @throws LockedError once another writer took over; UnavailableError when that cannot be determined
   */
  check(seenMs: number): Promise<void>;
  release(): Promise<void>;
}

/** @throws LockedError while another single writer has the store open */
export async function takeWriterLock({ backend, runtime, settings }: Engine): Promise<WriterLock> {
  if (backend.lock !== undefined) {
    const handle = await backend.lock(WRITER_LOCK_PATH);
    return { check: async () => handle.confirm?.(), release: () => handle.release() };
  }
  const path = WRITER_LEASE_PATH;
  const ttlMs = backend.lockTtlMs ?? settings.leaseTtlMs;
  const lease = await Lease.take(backend, runtime, { path, ttlMs });
  if (lease === undefined) {
    throw new LockedError(
      `Store is locked by another agent. Lock key: ${path}. Its lease ends ${ttlMs} ms ` +
        "after its holder stops; open with an agentId to write together with others",
      { path },
    );
  }
  const check = async (seenMs: number): Promise<void> => {
    if (await confirm(lease, seenMs, path)) return;
    throw new LockedError(`${path} was lost: another writer took over; open the store again`, {
      path,
    });
  };
  return { check, release: () => lease.release() };
}

/** @throws UnavailableError */
async function confirm(lease: Lease, seenMs: number, path: string): Promise<boolean> {
  try {
    return await lease.confirm(seenMs);
  } catch (cause) {
    const reason = messageOf(cause);
    throw new UnavailableError(
      `${path} could not be renewed, so that another may write by now: ${reason}`,
      { path, cause },
    );
  }
}
