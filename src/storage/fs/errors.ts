/** Errors of the operating system, classified in this one place. */
import {
  AccessDeniedError,
  InvalidArgumentError,
  NotSupportedError,
  OpslogError,
  UnavailableError,
} from "../../core/errors.ts";

/** The name of a system error, as `ENOENT`; undefined for everything else. */
export function errno(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  if (!("code" in error) || !("syscall" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

function syscallOf(error: unknown): string {
  return typeof error === "object" && error !== null && "syscall" in error
    ? String(error.syscall)
    : "a call";
}

/** A network file system may have done what it reports so; a full or forbidding disk has not. */
export function mayHaveHappened(error: unknown): boolean {
  const code = errno(error);
  return code === "EIO" || code === "ETIMEDOUT" || code === "ESTALE";
}

/** The file system does not have the call at all. Node calls EOPNOTSUPP of Linux ENOTSUP. */
export function isUnsupported(error: unknown): boolean {
  const code = errno(error);
  return code === "ENOTSUP" || code === "EOPNOTSUPP" || code === "ENOSYS";
}

/** No room is left, for what takes any. */
export function isFull(error: unknown): boolean {
  const code = errno(error instanceof OpslogError ? error.cause : error);
  return code === "ENOSPC" || code === "EDQUOT";
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
 * The error that a caller receives. `what` names the attempt, as in "Cannot write 'a/b'".
 * What is no system error (a stream of the caller that failed, an error of ours) stays as it is.
 */
export function toStorageError(error: unknown, what: string, path: string): unknown {
  const code = errno(error);
  if (code === undefined || error instanceof OpslogError) return error;
  const details = { path, cause: error };
  const call = `${code} of ${syscallOf(error)}`;
  switch (code) {
    case "EACCES":
      return new AccessDeniedError(`${what}: permission denied (${code})`, details);
    case "EPERM":
      return new AccessDeniedError(`${what}: the system does not permit it (${call})`, details);
    case "EROFS":
      return new AccessDeniedError(`${what}: the file system is read-only (${code})`, details);
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
    case "ENOTSUP":
    case "EOPNOTSUPP":
    case "ENOSYS":
      return new NotSupportedError(`${what}: the file system cannot do that (${call})`, details);
    default:
      return new UnavailableError(`${what}: ${code}`, details);
  }
}
