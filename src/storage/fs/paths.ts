/** Which paths inside the directory are objects, and which are the backend's own. */
import { InvalidArgumentError } from "../../core/errors.ts";
import { STAGING_DIRECTORY } from "./staging.ts";
import { SwapName } from "./names.ts";
import { checkPath } from "../paths.ts";

/** The one path that is locked; no object can lie there. */
export const LOCK_PATH = ".lock";

/** Spelled otherwise, too: file systems that ignore case or Unicode forms take it for the same. */
export function isBackendsOwn(path: string): boolean {
  const plain = path.normalize("NFKC").toLowerCase();
  return plain === LOCK_PATH || plain.split("/", 1)[0] === STAGING_DIRECTORY;
}

/** @throws InvalidArgumentError for paths that lead out of the store or are the backend's own */
export function checkObjectPath(path: string): string {
  checkPath(path);
  if (!isBackendsOwn(path) && SwapName.ofVersion(path.toLowerCase()) === undefined) return path;
  throw new InvalidArgumentError(`path is FsBackend's own: ${JSON.stringify(path)}`, { path });
}

/** @throws InvalidArgumentError for every path but the one that may be locked */
export function checkLockPath(path: string): string {
  if (checkPath(path) === LOCK_PATH) return path;
  throw new InvalidArgumentError(
    `FsBackend locks only ${JSON.stringify(LOCK_PATH)}, not ${JSON.stringify(path)}`,
    { path },
  );
}
