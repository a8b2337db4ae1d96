/** The backend that serves what a caller gave: checked, or made for a directory. */
import { describeValue } from "../core/describe.ts";
import { InvalidArgumentError } from "../core/errors.ts";
import { wrong } from "../core/options.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { FsBackend } from "../storage/fs/fs-backend.ts";

/** What a backend must have, besides `initialize`, to be one of this package's. */
const MEDIUM_CALLS = ["shutdown", "get", "put", "list", "delete"];

/**
 * The caller's backend, or one for the directory that the location names.
 * @throws InvalidArgumentError for what is no location or backend, and for an S3 location without one
 */
export function backendFor(location: unknown, backend: StorageBackend | undefined): StorageBackend {
  if (typeof location !== "string") {
    throw new InvalidArgumentError(`location must be a string, found ${describeValue(location)}`);
  }
  if (backend !== undefined) return backend;
  if (/^[a-z0-9]+:\/\//i.test(location) && !location.startsWith("file:")) {
    throw new InvalidArgumentError(
      `${location} needs a backend: open(location, { backend: new S3Backend() }) ` +
        'with S3Backend from "opslog-serverless/s3"',
    );
  }
  return new FsBackend();
}

/** @throws InvalidArgumentError for what cannot be a backend */
export function checkBackend(backend: StorageBackend | undefined): StorageBackend | undefined {
  const found: unknown = backend;
  if (found === undefined) return undefined;
  const usable = typeof found === "object" && found !== null && "initialize" in found;
  if (!usable) throw wrong("backend", "a StorageBackend", found);
  if (MEDIUM_CALLS.every((name) => name in found)) return backend;
  const origin = "readManifest" in found ? "one made for the original opslog" : "another object";
  throw new InvalidArgumentError(
    `option backend: expected one of this package, found ${origin}; extend BaseBackend by ` +
      `${["initialize", ...MEDIUM_CALLS].join(", ")}, and prove it with opslog-serverless/testing`,
  );
}
