/** Which stores a compactor of several is for, how it reaches them, and with which it begins. */
import { InvalidArgumentError } from "../core/errors.ts";
import type { Runtime } from "../core/runtime.ts";
import type { StorageBackend } from "../storage/backend.ts";
import { FsBackend } from "../storage/fs/fs-backend.ts";
import { withoutSlashesAtEnd } from "../core/relative-path.ts";
import type { Wanted } from "./compactor-event.ts";
import { IdleBackoff } from "./idle-backoff.ts";
import type { S3Access } from "./s3-access.ts";
import { isS3Location, type OpenLocation } from "./warm-location.ts";

export interface FleetOptions {
  /** The stores: each `s3://bucket/prefix`, or a directory. */
  readonly locations?: readonly string[] | undefined;
  /**
   * The stores right below a prefix: what holds a manifest or a log. A scheduled invocation looks
   * for new ones after as long as none was found, at most `idleMaxMs`; an event that names a store
   * or an object of it needs no search.
   */
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
  /** What was found below the prefix last. */
  #found: readonly string[] = [];
  /** Of searches, and of prefixes that hold no store. */
  readonly #searches: IdleBackoff;

  /** @param idleMaxMs the longest time without a search */
  constructor(options: FleetOptions, s3: S3Access, idleMaxMs: number) {
    this.#options = options;
    this.#s3 = s3;
    this.#searches = new IdleBackoff(idleMaxMs);
  }

  /** A new backend each time: what it learns of a store is not kept for all of them. */
  open(location: string): OpenLocation {
    const { backend } = this.#options;
    if (backend !== undefined) return { location, backend: backend(location) };
    const own = isS3Location(location) ? this.#s3.sharedBackend() : new FsBackend();
    return { location, backend: own };
  }

  /**
   * Every store that is wanted, beginning with the one that the last invocation would have gone on
   * with; of a new process with any, so that those at the end are not always the ones left out.
   * @throws InvalidArgumentError for unusable options; what listing throws
   */
  async inTurn(runtime: Runtime, wanted: Wanted): Promise<string[]> {
    const locations = await this.#locations(runtime.nowMs(), wanted);
    const next = this.#nextLocation;
    const cold = Math.floor(runtime.random() * locations.length);
    const at = next === undefined ? cold : locations.findIndex((location) => location >= next);
    return at <= 0 ? locations : [...locations.slice(at), ...locations.slice(0, at)];
  }

  /** @param location the first one that was not reached, or the first of all */
  continueWith(location: string | undefined): void {
    this.#nextLocation = location;
  }

  async #locations(nowMs: number, wanted: Wanted): Promise<string[]> {
    const { locations, discover } = this.#options;
    if ((locations === undefined) === (discover === undefined)) {
      throw oneOf();
    }
    if (locations !== undefined) {
      const all = [...new Set(locations)].toSorted();
      return typeof wanted === "string" ? all : all.filter((each) => isNamed(each, wanted));
    }
    const under = discover?.under;
    if (typeof under !== "string" || under.trim() === "") {
      throw new InvalidArgumentError(
        'the option discover.under is missing: expected "s3://bucket/prefix" or a directory; ' +
          "is the environment variable it is read from set?",
      );
    }
    const base = `${withoutSlashesAtEnd(under)}/`;
    if (typeof wanted !== "string") return [...new Set(namedBelow(base, wanted))].toSorted();
    if (wanted === "now" || !this.#searches.isResting(base, nowMs)) {
      await this.#search(base, nowMs, wanted);
    }
    return [...this.#found];
  }

  /** Prefixes that are known to be stores, or were none shortly before, are not listed again. */
  async #search(base: string, nowMs: number, wanted: Wanted): Promise<void> {
    const before = new Set(this.#found);
    const listed: string[] = [];
    const criteria = {
      isStore: (name: string) => STORE_NAMES.has(name),
      known: (name: string) => {
        const location = base + name;
        if (before.has(location)) return true;
        if (wanted !== "now" && this.#searches.isResting(location, nowMs)) return false;
        listed.push(location);
        return undefined;
      },
    };
    const found = isS3Location(base)
      ? await this.#s3.listLocations(base, criteria)
      : await listDirectories(base);
    this.#found = found.toSorted();
    for (const location of listed) this.#searches.quiet(location, nowMs);
    if (found.some((location) => !before.has(location))) this.#searches.busy(base);
    this.#searches.quiet(base, nowMs);
  }
}

export function oneOf(): InvalidArgumentError {
  return new InvalidArgumentError(
    "createCompactor needs exactly one of the options location, locations and discover",
  );
}

/** Whether an event names the store, or an object of it. */
function isNamed(location: string, urls: ReadonlySet<string>): boolean {
  const own = withoutSlashesAtEnd(location);
  return [...urls].some((url) => url === own || url.startsWith(`${own}/`));
}

/** The stores right below `base` that the URLs name. */
function namedBelow(base: string, urls: ReadonlySet<string>): string[] {
  return [...urls].flatMap((url) => {
    const [name = ""] = url.slice(base.length).split("/");
    return url.startsWith(base) && name !== "" ? [base + name] : [];
  });
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
