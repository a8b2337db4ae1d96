/**
 * The lock file of a store: created by link(2), so it is there whole or not at all.
 *
 * Its holder is gone when the kernel says so (process-identity.ts). Where that is impossible (another
 * machine, another container) the lock is a lease: the holder writes a beat into the file every
 * sixth of its time, and checks the file before a flush if none succeeded for a quarter. It is expired
 * when its date is further from now than its time, and no beat comes for another third of it, by a
 * clock that cannot be set: no date alone takes a lock from a holder, and none keeps it for ever.
 *
 * Recovery. Only the holder of a claim on a stale lock may remove it, and a claim names the lock
 * file it is on, as of its last beat. Claims are numbered; claim k counts only when the holders of
 * all lower ones are gone, so that no two can recover.
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { LockedError, UnavailableError } from "../../core/errors.ts";
import { Mutex } from "../../core/mutex.ts";
import { SILENT_ABORT } from "../../core/silent-abort.ts";
import { processWide } from "../../core/process-wide.ts";
import type { LockHandle } from "../backend.ts";
import type { StoreDirectory } from "./directory.ts";
import { toStorageError, unlessAbsent } from "./errors.ts";
import { openLifeline } from "./lifeline.ts";
import type { Lifeline } from "./lifeline.ts";
import { encodeHolder, isThisProcess, parseHolder } from "./process-identity.ts";
import { sharesPids, stateOf, thisProcess } from "./process-identity.ts";
import type { LockHolder } from "./process-identity.ts";
import { readFile, readHandle } from "./read.ts";
import { STAGING_DIRECTORY } from "./names.ts";
import { CLAIM_PREFIX, writeAll } from "./staging.ts";
import type { StagedFile, Staging } from "./staging.ts";

/** How long a holder may be silent, if its kernel cannot be queried. */
export const LOCK_TTL_MS = 15_000;

const BEAT_FLAGS = constants.O_RDWR | constants.O_NOFOLLOW;
/** Each attempt means that the lock changed hands meanwhile. */
const ATTEMPTS_MAX = 100;
/** Only the owner reads a lock: it names a process. */
const LOCK_MODE = 0o600;

/**
 * Tokens of locks that could be neither taken nor released with certainty: nobody holds them, although
 * their files may name this process, which lives on.
 */
const abandoned = (): Set<string> => processWide("abandoned", () => new Set<string>());

/** Shares of a lock's time: between beats, without a beat before a check, of silence before it is taken. */
const [BEAT_SHARE, ASK_SHARE, WATCH_SHARE] = [1 / 6, 1 / 4, 1 / 3];
/** Looks at a silent lock before it is taken. */
const LOOKS = 10;
/** No holder can keep others out for longer, whatever its options or its file contain. */
const TTL_MAX_MS = 15 * 60_000;

interface LockFile {
  /** The file and its last beat, distinguished from any other that ever was at the path. */
  readonly identity: string;
  readonly lastModifiedMs: number;
  /** Undefined: no lock that a live process could hold. */
  readonly holder: LockHolder | undefined;
}

/**
 * @param askedTtlMs how long the holder may be silent if its kernel cannot be queried; 900,000 at most
 * @throws LockedError, UnavailableError, AccessDeniedError
 */
export async function takeLock(
  directory: StoreDirectory,
  staging: Staging,
  path: string,
  askedTtlMs: number,
): Promise<LockHandle> {
  const { runtime } = directory;
  const ttlMs = Math.min(askedTtlMs, TTL_MAX_MS);
  const token = runtime.randomHex(32);
  const lifeline = await openLifeline(token);
  const holder = await thisProcess({ token, lifeline: lifeline?.name, ttlMs });
  const startedAt = new Date(runtime.nowMs()).toISOString();
  const content = (beat: number): Uint8Array => encodeHolder(holder, startedAt, beat);
  const lock = new FsLock({ directory, staging, path, token, ttlMs, lifeline, content });
  const take = async (staged: StagedFile): Promise<void> => {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      if ((await staging.link(staged.path, path)) === "linked") return;
      const found = await readLock(directory, path);
      if (found === undefined) continue; // released meanwhile
      await refuseUnlessGone(directory, path, path, found);
      await lock.recover(found.identity, staged);
    }
    throw new UnavailableError(`The lock '${path}' changes hands all the time`, { path });
  };
  try {
    await staging.with(content(0), { prefix: "lock-", mode: LOCK_MODE }, take);
  } catch (error) {
    // It may have been taken all the same. The first error is reported.
    if (!(error instanceof LockedError)) await Promise.allSettled([lock.abandon()]);
    lifeline?.close();
    throw error;
  }
  lock.keep();
  return lock;
}

interface OwnLock {
  readonly directory: StoreDirectory;
  readonly staging: Staging;
  readonly path: string;
  readonly token: string;
  readonly ttlMs: number;
  readonly lifeline: Lifeline | undefined;
  /** What the file holds after so many beats; always of one length. */
  readonly content: (beat: number) => Uint8Array;
}

class FsLock implements LockHandle {
  readonly #own: OwnLock;
  readonly #stop = new AbortController();
  readonly #turns = new Mutex();
  #keeping: Promise<void> = Promise.resolve();
  #beats = 0;
  #heard: { readonly nowMs: number; readonly steadyMs: number };
  /** Its file is gone, or another's. */
  #isLost = false;
  #released = false;

  constructor(own: OwnLock) {
    this.#own = own;
    this.#heard = this.#clocks();
  }

  /** Begins to beat. */
  keep(): void {
    this.#keeping = this.#beatUntilStopped();
  }

  /** At no call while beats come through. */
  async confirm(): Promise<void> {
    const { path, ttlMs } = this.#own;
    if (!this.#isLost && this.#silentMs() > ttlMs * ASK_SHARE) await this.#beat();
    if (!this.#isLost) return;
    throw new LockedError(
      `The lock '${path}' was lost: another writer took over, or the file was removed; ` +
        "open the store again",
      { path },
    );
  }

  async #beatUntilStopped(): Promise<void> {
    const { directory, ttlMs } = this.#own;
    while (!this.#isLost) {
      await directory.runtime.idle(ttlMs * BEAT_SHARE, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      // What fails is tried again; once it has failed for long, `confirm` meets the reason.
      await this.#beat().catch(() => undefined);
    }
  }

  /** Writes into the file that it read its own token in, so never into that of another. */
  async #beat(): Promise<void> {
    const { directory, path, token, content } = this.#own;
    await this.#turns.run(async () => {
      const heard = this.#clocks();
      try {
        const handle = await unlessAbsent(
          directory.files.open(directory.absolute(path), BEAT_FLAGS),
        );
        if (handle === undefined) return void (this.#isLost = true);
        try {
          const found = await readHandle(handle, path, "lock");
          const holder = found?.body && parseHolder(found.body);
          if (holder?.token !== token) return void (this.#isLost = true);
          await writeAll(handle, content(++this.#beats));
        } finally {
          await handle.close();
        }
      } catch (error) {
        throw toStorageError(error, `Cannot keep the lock '${directory.absolute(path)}'`, path);
      }
      this.#heard = heard;
    });
  }

  #clocks(): { nowMs: number; steadyMs: number } {
    const { runtime } = this.#own.directory;
    return { nowMs: runtime.nowMs(), steadyMs: runtime.steadyMs() };
  }

  /** The larger of the ages by both clocks: one may have been set, or stood still. */
  #silentMs(): number {
    const { nowMs, steadyMs } = this.#clocks();
    return Math.max(nowMs - this.#heard.nowMs, steadyMs - this.#heard.steadyMs);
  }

  /** Removes the lock file only while it is this lock's own; a missing one is fine. */
  async release(): Promise<void> {
    if (this.#released) return;
    const { directory, path, lifeline } = this.#own;
    this.#stop.abort(SILENT_ABORT);
    await this.#keeping;
    try {
      await this.abandon();
    } catch (error) {
      throw toStorageError(error, `Cannot release the lock '${directory.absolute(path)}'`, path);
    } finally {
      lifeline?.close();
    }
    this.#released = true;
  }

  /** As `release`; if it fails, this process at least will not be kept out by it. */
  async abandon(): Promise<void> {
    const { directory, staging, path, token } = this.#own;
    abandoned().add(token);
    const found = await readLock(directory, path);
    if (found?.holder?.token === token) await staging.remove(path);
    abandoned().delete(token);
  }

  /** Removes a stale lock, unless another process is recovering it or has done so. */
  async recover(identity: string, staged: StagedFile): Promise<void> {
    const { directory, staging, path } = this.#own;
    const claim = (k: number): string => `${STAGING_DIRECTORY}/${CLAIM_PREFIX}${identity}-${k}`;
    let own = 1;
    while ((await staging.link(staged.path, claim(own))) !== "linked") {
      const found = await readLock(directory, claim(own));
      if (found === undefined) return; // that recovery is over: look at the lock again
      await refuseUnlessGone(directory, path, claim(own), found);
      own++;
    }
    try {
      const found = await readLock(directory, path);
      if (found?.identity === identity) await staging.remove(path);
      // The stale lock is gone for good, and with it the meaning of its claims.
      for (let k = 1; k < own; k++) await staging.remove(claim(k));
    } finally {
      await staging.remove(claim(own));
    }
  }
}

async function readLock(directory: StoreDirectory, path: string): Promise<LockFile | undefined> {
  const found = await readFile(directory, path, "lock");
  if (found?.body === undefined) return undefined;
  const hash = createHash("sha256").update(found.body).digest("hex").slice(0, 32);
  const { etag, lastModifiedMs } = found;
  return { identity: `${etag}-${hash}`, lastModifiedMs, holder: parseHolder(found.body) };
}

/**
 * Resolves when the holder of a lock, or of the claim `at`, is gone.
 * @throws LockedError otherwise
 */
async function refuseUnlessGone(
  directory: StoreDirectory,
  path: string,
  at: string,
  found: LockFile,
): Promise<void> {
  const { holder, lastModifiedMs } = found;
  if (holder === undefined || abandoned().has(holder.token)) return;
  const state = await stateOf(holder, lastModifiedMs);
  if (state === "dead") return;
  const file = directory.absolute(path);
  if (state === "alive") {
    throw new LockedError(`Store is locked by ${await nameOf(holder, file)}`, { path });
  }
  const ttlMs = Math.min(holder.ttlMs ?? LOCK_TTL_MS, TTL_MAX_MS);
  const silentMs = directory.runtime.nowMs() - lastModifiedMs;
  // A date from the future proves nothing either, when it is further off than clocks differ.
  const isDoubted = state === "doubted" || Math.abs(silentMs) > ttlMs;
  if (isDoubted && (await staysSilent(directory, at, found, ttlMs))) return;
  if (await isThisProcess(holder)) {
    throw new LockedError(`Store is locked by ${await nameOf(holder, file)}`, { path });
  }
  throw new LockedError(
    `Store is locked by process ${holder.pid} on host ${holder.host}, of which no process here can determine ` +
      `whether it lives. Its lock ends ${ttlMs} ms after it stops; or delete ${file}`,
    { path },
  );
}

/** Whether no beat comes for longer than a holder writes without a check. */
async function staysSilent(
  directory: StoreDirectory,
  at: string,
  { identity }: LockFile,
  ttlMs: number,
): Promise<boolean> {
  for (let look = 1; look <= LOOKS; look++) {
    await directory.runtime.sleep((ttlMs * WATCH_SHARE) / LOOKS);
    if ((await readLock(directory, at))?.identity !== identity) return false;
  }
  return true;
}

/** Whose lock it is, and what ends it. */
async function nameOf(holder: LockHolder, file: string): Promise<string> {
  if (await isThisProcess(holder)) return `another store of this process (${file}): close that one`;
  const isNeighbour = holder.host !== undefined && !(await sharesPids(holder));
  const where = isNeighbour ? ` of another container, host ${holder.host}` : "";
  return `process ${holder.pid}${where}. If this is stale, delete ${file}`;
}
