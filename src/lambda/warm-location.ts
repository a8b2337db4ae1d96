/** What lives as long as the process: the location and one backend for all its invocations. */
import { InvalidArgumentError } from "../core/errors.ts";
import { checkBackend } from "../engine/resolve-backend.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { FsBackend } from "../storage/fs/fs-backend.ts";
import { KeptOpenBackend } from "../storage/kept-open-backend.ts";
import type { S3Access } from "./s3-access.ts";

/** Where a store is. */
export interface LocationOptions {
  /**
   * `s3://bucket/prefix`, or a directory. Checked at the first invocation, so that a module whose
   * environment variable is missing still loads, and its handler reports it.
   */
  readonly location: string | undefined;
  /**
   * A backend, or what makes it at the first invocation. It is shared by all invocations of the
   * process and never shut down. Default: `S3Backend` for `s3://`, else `FsBackend`.
   */
  readonly backend?: StorageBackend | (() => StorageBackend) | undefined;
}

export interface OpenLocation {
  readonly location: string;
  readonly backend: StorageBackend;
}

/**
 * Connections, and what was learnt about the server, stay for the next invocation. Nothing is made
 * before the first one: a snapshot of the process may be taken after its modules have loaded.
 */
export class WarmLocation {
  readonly #options: LocationOptions;
  readonly #s3: S3Access;
  #open: OpenLocation | undefined;

  constructor(options: LocationOptions, s3: S3Access) {
    this.#options = options;
    this.#s3 = s3;
  }

  /** @throws InvalidArgumentError without a location */
  get(): OpenLocation {
    return (this.#open ??= this.#make());
  }

  #make(): OpenLocation {
    const { location, backend } = this.#options;
    if (typeof location !== "string" || location.trim() === "") {
      const found = typeof location === "string" ? "an empty string" : String(location);
      throw new InvalidArgumentError(
        'the option location is missing: expected "s3://bucket/prefix" or a directory, found ' +
          `${found}; is the environment variable it is read from (OPSLOG_LOCATION) set?`,
      );
    }
    const own = checkBackend(typeof backend === "function" ? backend() : backend);
    const used = own ?? this.#defaultBackend(location);
    return {
      location: used.resolveLocation?.(location) ?? location,
      backend: new KeptOpenBackend(used),
    };
  }

  #defaultBackend(location: string): StorageBackend {
    return isS3Location(location) ? this.#s3.backend() : new FsBackend();
  }
}

export function isS3Location(location: string): boolean {
  return /^s3:\/\//i.test(location);
}
