/** Which stores a compactor of several is for, how it reaches them, and with which it begins. */
import { InvalidArgumentError } from "../core/errors.ts";
import type { Runtime } from "../core/runtime.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { FsBackend } from "../storage/fs/fs-backend.ts";
import { withoutSlashesAtEnd } from "../storage/paths.ts";
import type { S3Access } from "./s3-access.ts";
import { isS3Location, type OpenLocation } from "./warm-location.ts";

export interface FleetOptions {
  /** The stores: each `s3://bucket/prefix`, or a directory. */
  readonly locations?: readonly string[] | undefined;
  /** The stores right below a prefix: what holds a manifest or a log. Looked for each time. */
  readonly discover?: { readonly under: string | undefined } | undefined;
  /** Makes the backend of a location. Default: `S3Backend`, which share a client, or `FsBackend`. */
  readonly backend?: ((location: string) => StorageBackend) | undefined;
}

const STORE_NAMES: ReadonlySet<string> = new Set(["manifest.json", "ops", "ops/"]);

export class Fleet {
  readonly #options: FleetOptions;
  readonly #s3: S3Access;
  /** Where the next invocation of this process begins. */
  #nextLocation: string | undefined;

  constructor(options: FleetOptions, s3: S3Access) {
    this.#options = options;
    this.#s3 = s3;
  }

  /** A new backend each time: what it learns of a store is not kept for all of them. */
  open(location: string): OpenLocation {
    const { backend } = this.#options;
    if (backend !== undefined) return { location, backend: backend(location) };
    const own = isS3Location(location) ? this.#s3.sharedBackend() : new FsBackend();
    return { location, backend: own };
  }

  /**
   * Every store, beginning with the one that the last invocation would have gone on with; of a new
   * process with any, so that those at the end are not always the ones left out.
   * @throws InvalidArgumentError for unusable options; what listing throws
   */
  async inTurn(runtime: Runtime): Promise<string[]> {
    const locations = await this.#locations();
    const next = this.#nextLocation;
    const cold = Math.floor(runtime.random() * locations.length);
    const at = next === undefined ? cold : locations.findIndex((location) => location >= next);
    return at <= 0 ? locations : [...locations.slice(at), ...locations.slice(0, at)];
  }

  /** @param location the first one that was not reached, or the first of all */
  continueWith(location: string | undefined): void {
    this.#nextLocation = location;
  }

  async #locations(): Promise<string[]> {
    const { locations, discover } = this.#options;
    if ((locations === undefined) === (discover === undefined)) {
      throw oneOf();
    }
    if (locations !== undefined) return [...new Set(locations)].toSorted();
    const under = discover?.under;
    if (typeof under !== "string" || under.trim() === "") {
      throw new InvalidArgumentError(
        'the option discover.under is missing: expected "s3://bucket/prefix" or a directory; ' +
          "is the environment variable it is read from set?",
      );
    }
    const found = isS3Location(under)
      ? await this.#s3.listLocations(under, (name) => STORE_NAMES.has(name))
      : await listDirectories(under);
    return found.toSorted();
  }
}

export function oneOf(): InvalidArgumentError {
  return new InvalidArgumentError(
    "createCompactor needs exactly one of the options location, locations and discover",
  );
}

async function listDirectories(under: string): Promise<string[]> {
  const backend = new FsBackend();
  await backend.initialize(under, { readOnly: true });
  try {
    const found: string[] = [];
    for (const name of await backend.listBlobs("")) {
      const below = await backend.listBlobs(name);
      const isStore = below.some((each) => STORE_NAMES.has(each));
      if (isStore) found.push(`${withoutSlashesAtEnd(under)}/${name}`);
    }
    return found;
  } finally {
    await backend.shutdown();
  }
}
