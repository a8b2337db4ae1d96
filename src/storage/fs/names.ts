/** Names in the directory: swapped objects and their versions, and the backend's own files. */
import { InvalidArgumentError } from "../../core/errors.ts";
import { checkPath } from "../../core/relative-path.ts";

/** Where files are written before they get their names. */
export const STAGING_DIRECTORY = ".tmp";

const VERSION_DIGITS = 16;

/** The path of an object that is replaced by compare-and-swap, and where its versions lie. */
export class SwapName {
  /** `manifest.json`, or `<stem>.lease`; always at the top level of the store. */
  readonly path: string;
  /** `manifests`, `<stem>s`. */
  readonly directory: string;
  readonly #extension: string;

  /** Undefined when `path` is an ordinary one, whose objects are only created or overwritten. */
  static of(path: string): SwapName | undefined {
    const match = /^(?:(manifest)(\.json)|([^/]+)(\.lease))$/.exec(path);
    if (match === null) return undefined;
    const [, manifest, json, lease, extension] = match;
    return new SwapName(path, `${manifest ?? lease}s`, json ?? extension ?? "");
  }

  /** The object whose version lies at `path`; undefined when `path` is no version. */
  static ofVersion(path: string): SwapName | undefined {
    const match = /^([^/]+)s\/\d{16}(\.json|\.lease)$/.exec(path);
    return match === null ? undefined : SwapName.of(`${match[1]}${match[2]}`);
  }

  private constructor(path: string, directory: string, extension: string) {
    this.path = path;
    this.directory = directory;
    this.#extension = extension;
  }

  versionPath(version: number): string {
    const digits = String(version).padStart(VERSION_DIGITS, "0");
    return `${this.directory}/${digits}${this.#extension}`;
  }

  /** The number of the version that `file`, a name in `directory`, holds. */
  versionOf(file: string): number | undefined {
    const digits = file.slice(0, VERSION_DIGITS);
    const rest = file.slice(VERSION_DIGITS);
    return /^\d{16}$/.test(digits) && rest === this.#extension ? Number(digits) : undefined;
  }

  /** How the name of a staged file begins that is to become version `target`. */
  stagingPrefix(target: number): string {
    return `${this.#stagingStem()}${String(target).padStart(VERSION_DIGITS, "0")}-`;
  }

  /** The version a staged file is to become; undefined when it is not one of this object. */
  stagingTarget(file: string): number | undefined {
    const stem = this.#stagingStem();
    if (!file.startsWith(stem)) return undefined;
    const digits = /^(\d{16})-/.exec(file.slice(stem.length))?.[1];
    return digits === undefined ? undefined : Number(digits);
  }

  #stagingStem(): string {
    return `swap-${this.path}-`;
  }
}

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
