/**
 * The lock file of a store: created by link(2), so it is there whole or not at all.
 *
 * Recovery. Only the holder of a claim on a stale lock may remove it, and a claim names the lock
 * file it is on. Claims are numbered; claim k counts only when the processes of all lower ones are
 * dead. Dead stays dead, so at most one process holds a valid claim, and no two can recover.
 */
import { createHash } from "node:crypto";
import { LockedError, UnavailableError } from "../core/errors.ts";
import type { LockHandle } from "./backend.ts";
import type { StoreDirectory } from "./fs-directory.ts";
import { toStorageError } from "./fs-errors.ts";
import { encodeHolder, parseHolder, stateOf, thisProcess } from "./fs-process.ts";
import type { LockHolder } from "./fs-process.ts";
import { readFile } from "./fs-read.ts";
import { CLAIM_PREFIX, STAGING_DIRECTORY } from "./fs-staging.ts";
import type { StagedFile, Staging } from "./fs-staging.ts";

/** Each attempt means that the lock changed hands meanwhile. */
const ATTEMPTS_MAX = 100;
/** Only the owner reads a lock: it names a process. */
const LOCK_MODE = 0o600;

/**
 * Tokens of locks that could be neither taken nor released for sure: nobody holds them, although
 * their files may name this process, which lives on.
 */
const abandoned = new Set<string>();

interface LockFile {
  /** The file itself, told from any other that ever was at the path. */
  readonly identity: string;
  /** Undefined: no lock that a live process could hold. */
  readonly holder: LockHolder | undefined;
}

/** @throws LockedError, UnavailableError, AccessDeniedError */
export async function takeLock(
  directory: StoreDirectory,
  staging: Staging,
  path: string,
): Promise<LockHandle> {
  const token = directory.runtime.randomHex(32);
  const startedAt = new Date(directory.runtime.nowMs()).toISOString();
  const content = encodeHolder(await thisProcess(token), startedAt);
  const lock = new FsLock(directory, staging, path, token);
  const take = async (staged: StagedFile): Promise<void> => {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      if ((await staging.link(staged.path, path)) === "linked") return;
      const found = await readLock(directory, path);
      if (found === undefined) continue; // released meanwhile
      await refuseUnlessDead(directory, path, found.holder);
      await lock.recover(found.identity, staged);
    }
    throw new UnavailableError(`The lock '${path}' changes hands all the time`, { path });
  };
  try {
    await staging.with(content, { prefix: "lock-", mode: LOCK_MODE }, take);
  } catch (error) {
    // It may have been taken all the same. The first error is the one that tells.
    if (!(error instanceof LockedError)) await Promise.allSettled([lock.abandon()]);
    throw error;
  }
  return lock;
}

class FsLock implements LockHandle {
  readonly #directory: StoreDirectory;
  readonly #staging: Staging;
  readonly #path: string;
  readonly #token: string;
  #released = false;

  constructor(directory: StoreDirectory, staging: Staging, path: string, token: string) {
    this.#directory = directory;
    this.#staging = staging;
    this.#path = path;
    this.#token = token;
  }

  /** Removes the lock file only while it is this lock's own; a missing one is fine. */
  async release(): Promise<void> {
    if (this.#released) return;
    try {
      await this.abandon();
    } catch (error) {
      const what = `Cannot release the lock '${this.#directory.absolute(this.#path)}'`;
      throw toStorageError(error, what, this.#path);
    }
    this.#released = true;
  }

  /** As `release`; if it fails, this process at least will not be kept out by it. */
  async abandon(): Promise<void> {
    abandoned.add(this.#token);
    const found = await readLock(this.#directory, this.#path);
    if (found?.holder?.token === this.#token) await this.#staging.remove(this.#path);
    abandoned.delete(this.#token);
  }

  /** Removes a stale lock, unless another process is recovering it or has done so. */
  async recover(identity: string, staged: StagedFile): Promise<void> {
    const claim = (k: number): string => `${STAGING_DIRECTORY}/${CLAIM_PREFIX}${identity}-${k}`;
    let own = 1;
    while ((await this.#staging.link(staged.path, claim(own))) !== "linked") {
      const found = await readLock(this.#directory, claim(own));
      if (found === undefined) return; // that recovery is over: look at the lock again
      await refuseUnlessDead(this.#directory, this.#path, found.holder);
      own++;
    }
    try {
      const found = await readLock(this.#directory, this.#path);
      if (found?.identity === identity) await this.#staging.remove(this.#path);
      // The stale lock is gone for good, and with it the meaning of its claims.
      for (let k = 1; k < own; k++) await this.#staging.remove(claim(k));
    } finally {
      await this.#staging.remove(claim(own));
    }
  }
}

async function readLock(directory: StoreDirectory, path: string): Promise<LockFile | undefined> {
  const found = await readFile(directory, path, "lock");
  if (found?.body === undefined) return undefined;
  const hash = createHash("sha256").update(found.body).digest("hex").slice(0, 32);
  return { identity: `${found.etag}-${hash}`, holder: parseHolder(found.body) };
}

async function refuseUnlessDead(
  directory: StoreDirectory,
  path: string,
  holder: LockHolder | undefined,
): Promise<void> {
  if (holder === undefined || abandoned.has(holder.token)) return;
  const state = await stateOf(holder);
  if (state === "dead") return;
  const where = state === "foreign" ? ` on host ${holder.host}` : "";
  const file = directory.absolute(path);
  throw new LockedError(
    `Store is locked by process ${holder.pid}${where}. If this is stale, delete ${file}`,
    { path },
  );
}
