/** Errors of the operating system, told apart at this one border. */
import {
  AccessDeniedError,
  InvalidArgumentError,
  NotSupportedError,
  OpslogError,
  UnavailableError,
} from "../core/errors.ts";

/** The name of a system error, as `ENOENT`; undefined for everything else. */
export function errno(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || !("syscall" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** A network file system may have done what it reports so; a full or forbidding disk has not. */
export function mayHaveHappened(error: unknown): boolean {
  const code = errno(error);
  return code === "EIO" || code === "ETIMEDOUT" || code === "ESTALE";
}

/** Nothing is at the path. */
export function isAbsent(error: unknown): boolean {
  const code = errno(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

/** Runs a system call; `undefined` when nothing is at its path. */
export async function unlessAbsent<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/**
 * The error a caller gets. `what` says what was tried, as "Cannot write 'a/b'".
 * What is no system error (a stream of the caller that failed, an error of ours) stays as it is.
 */
export function toStorageError(error: unknown, what: string, path: string): unknown {
  const code = errno(error);
  if (code === undefined || error instanceof OpslogError) return error;
  const details = { path, cause: error };
  switch (code) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new AccessDeniedError(`${what}: permission denied (${code})`, details);
    case "ELOOP":
      return new AccessDeniedError(`${what}: it is a symbolic link`, details);
    case "ENOSPC":
    case "EDQUOT":
      return new UnavailableError(`${what}: disk full (${code})`, details);
    case "EISDIR":
    case "ENOTEMPTY":
      return new InvalidArgumentError(`${what}: a directory is in its place`, details);
    case "ENOTDIR":
      return new InvalidArgumentError(`${what}: a part of its path is no directory`, details);
    case "ENAMETOOLONG":
      return new InvalidArgumentError(`${what}: a part of its path is too long`, details);
    case "EOPNOTSUPP":
    case "ENOSYS":
      return new NotSupportedError(`${what}: the file system cannot do that (${code})`, details);
    default:
      return new UnavailableError(`${what}: ${code}`, details);
  }
}
