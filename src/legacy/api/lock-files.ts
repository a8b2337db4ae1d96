/** The lock of a directory for programs that take it without a store, as the original offers it. */
import { WRITER_LOCK_PATH } from "../../format/paths.ts";
import type { LockHandle } from "../../storage/backend.ts";
import { FsBackend } from "../../storage/fs/fs-backend.ts";

/**
 * Takes the single-writer lock of a store's directory, which is created when missing. While it is
 * held no store opens there for writing without an `agentId`; a dead process's lock is recovered.
 * @throws LockedError, AccessDeniedError
 */
export async function acquireLock(dir: string): Promise<LockHandle> {
  const backend = new FsBackend();
  await backend.initialize(dir, { readOnly: false });
  return backend.lock(WRITER_LOCK_PATH);
}

/** Gives back what `acquireLock(dir)` gave; fine when the lock file is gone already. */
export async function releaseLock(_dir: string, handle: LockHandle): Promise<void> {
  await handle.release();
}
