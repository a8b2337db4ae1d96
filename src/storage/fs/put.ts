/** Writing and deleting ordinary objects: files at their own path, never changed in place. */
import {
  InvalidArgumentError,
  NotSupportedError,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "../../core/errors.ts";
import { mapParallel } from "../../core/parallel.ts";
import type { Precondition } from "../backend.ts";
import { parentOf } from "./directory.ts";
import type { StoreDirectory } from "./directory.ts";
import { errno, isAbsent, toStorageError, unlessAbsent } from "./errors.ts";
import { FILES_PARALLEL, listSubdirectories } from "./list.ts";
import type { StagedFile, Staging } from "./staging.ts";
import { SwapName } from "./names.ts";
import type { SwappedObjects } from "./versioned-objects.ts";

/** What `initialize` makes for one location. */
export interface Bound {
  readonly directory: StoreDirectory;
  readonly staging: Staging;
  readonly swapped: SwappedObjects;
}

/** Tag of the etags of ordinary files. */
export const FILE_TAG = "f";

/** @returns the etag, or undefined when the precondition did not hold */
export async function putFile(
  bound: Bound,
  path: string,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  precondition: Precondition,
): Promise<string | undefined> {
  if (precondition !== "none" && "ifMatch" in precondition) {
    throw new NotSupportedError(
      `FsBackend swaps only manifest.json and *.lease at the top level, not '${path}'`,
      { path },
    );
  }
  await bound.directory.makeParents(path);
  return await bound.staging.with(body, {}, async (staged) => {
    if (precondition === "none") await bound.staging.rename(staged.path, path);
    else if (!(await create(bound, staged, path))) return undefined;
    try {
      await bound.directory.syncParent(path);
    } catch (error) {
      throw new WriteOutcomeUnknownError(`'${path}' was written, but may not survive a crash`, {
        path,
        cause: error,
      });
    }
    return staged.etag(FILE_TAG);
  });
}

async function create(bound: Bound, staged: StagedFile, path: string): Promise<boolean> {
  const outcome = await bound.staging.link(staged.path, path);
  if (outcome === "linked") return true;
  if (outcome === "gone") {
    throw new UnavailableError(`'${path}' was not written: its temporary file was removed`, {
      path,
    });
  }
  const stats = await unlessAbsent(bound.directory.files.lstat(bound.directory.absolute(path)));
  if (stats?.isDirectory() === true) {
    throw new InvalidArgumentError(`Cannot create '${path}': a directory is in its place`, {
      path,
    });
  }
  return false;
}

export async function deletePaths(bound: Bound, paths: readonly string[]): Promise<void> {
  const changed = new Map<string, string>();
  await mapParallel(paths, FILES_PARALLEL, async (path) => {
    try {
      const name = SwapName.of(path);
      if (name !== undefined) await bound.swapped.delete(name);
      else if (!(await removeFile(bound.directory, path))) return;
      const inside = name?.versionPath(1) ?? path;
      changed.set(parentOf(inside), inside);
    } catch (error) {
      throw toStorageError(error, `Cannot delete '${bound.directory.absolute(path)}'`, path);
    }
  });
  await mapParallel([...changed.values()], FILES_PARALLEL, async (path) => {
    try {
      await bound.directory.syncParent(path);
    } catch (error) {
      if (isAbsent(error)) return; // the directory went as well
      throw new WriteOutcomeUnknownError(`'${path}' was deleted, but a crash may bring it back`, {
        path,
        cause: error,
      });
    }
  });
}

/** False when no file was there. */
async function removeFile(directory: StoreDirectory, path: string): Promise<boolean> {
  if (!(await directory.hasParents(path))) return false;
  try {
    await directory.files.unlink(directory.absolute(path));
    return true;
  } catch (error) {
    if (isAbsent(error) || errno(error) === "EISDIR") return false;
    // POSIX answers EPERM for a directory, as for a file that may not be removed.
    if (errno(error) !== "EPERM") throw error;
    const stats = await unlessAbsent(directory.files.lstat(directory.absolute(path)));
    if (stats === undefined || stats.isDirectory()) return false;
    throw error;
  }
}

/** Removes the empty directories below `prefix`, itself included; others stay. */
export async function removeEmptyDirectories(
  directory: StoreDirectory,
  prefix: string,
): Promise<void> {
  for (const path of await listSubdirectories(directory, prefix)) {
    try {
      await directory.files.rmdir(directory.absolute(path));
    } catch (error) {
      if (isAbsent(error) || errno(error) === "ENOTEMPTY" || errno(error) === "EEXIST") continue;
      throw toStorageError(error, `Cannot remove '${directory.absolute(path)}'`, path);
    }
  }
  directory.forget();
}
