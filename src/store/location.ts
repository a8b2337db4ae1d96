/** From what a caller gives to the backend that serves it. */
import { describeValue } from "../core/describe.ts";
import { InvalidArgumentError } from "../core/errors.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { FsBackend } from "../storage/fs-backend.ts";

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
