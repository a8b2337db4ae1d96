/** Names of swapped objects and of their versions. */

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
