/**
 * Compare-and-swap on files. A swapped object is a directory of versions `<number, 16 digits>`;
 * the highest is current, and link(2) lets exactly one writer create the next. The file under the
 * object's own name is a copy for people.
 */
import { constants } from "node:fs";
import { UnavailableError, WriteOutcomeUnknownError } from "../../core/errors.ts";
import type { GetOptions, Precondition } from "../backend.ts";
import type { StoreDirectory } from "./directory.ts";
import { isAbsent, unlessAbsent } from "./errors.ts";
import { readFile } from "./read.ts";
import type { FileFound } from "./read.ts";
import type { StagedFile, Staging } from "./staging.ts";
import { STAGING_DIRECTORY, type SwapName } from "./names.ts";

/** Versions kept, the current one included. */
const VERSIONS_KEPT = 16;

/** A read starts again only when 16 swaps overtook it. */
const READ_ATTEMPTS_MAX = 1_000;
/** A put without precondition tries again only when another writer was faster. */
const PUT_ATTEMPTS_MAX = 1_000;
/** The writer of a newer version refreshes the copy too, so giving up is harmless. */
const COPY_ATTEMPTS_MAX = 16;

interface Current extends FileFound {
  /** 0: a plain file without versions, as a legacy manifest is. */
  readonly version: number;
}

export class SwappedObjects {
  readonly #directory: StoreDirectory;
  readonly #staging: Staging;

  constructor(directory: StoreDirectory, staging: Staging) {
    this.#directory = directory;
    this.#staging = staging;
  }

  async get(name: SwapName, options: GetOptions = {}): Promise<Current | undefined> {
    for (let attempt = 1; attempt <= READ_ATTEMPTS_MAX; attempt++) {
      const version = (await this.#versions(name)).at(-1) ?? 0;
      const path = version === 0 ? name.path : name.versionPath(version);
      const found = await readFile(this.#directory, path, `v${version}`, options);
      if (version !== 0) {
        if (found !== undefined) return { ...found, version };
        continue; // pruned meanwhile
      }
      // The plain file counts only where there are no versions, and counts as read before any.
      if (found === undefined) return undefined;
      if ((await this.#versions(name)).length === 0) return { ...found, version };
    }
    throw new UnavailableError(`'${name.path}' is replaced faster than it can be read`, {
      path: name.path,
    });
  }

  /** @returns the etag, or undefined when the precondition did not hold */
  async put(
    name: SwapName,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    precondition: Precondition,
  ): Promise<string | undefined> {
    if (precondition !== "none") {
      const target = "ifAbsent" in precondition ? 1 : nextVersion(precondition.ifMatch);
      if (target === undefined) return undefined; // an etag of something else
      const prefix = name.stagingPrefix(target);
      return await this.#staging.with(body, { prefix }, async (staged) => {
        const etag = "ifMatch" in precondition ? precondition.ifMatch : undefined;
        const holds = (current: Current | undefined): boolean => current?.etag === etag;
        return await this.#swap(name, staged, target, holds);
      });
    }
    return await this.#staging.with(body, {}, (staged) => this.#replace(name, staged));
  }

  async delete(name: SwapName): Promise<void> {
    for (;;) {
      await this.#staging.remove(name.path);
      for (const version of await this.#versions(name)) await this.#unlink(name, version);
      // A writer that looked before the versions went must not create one after.
      await this.#fence(name, Number.MAX_SAFE_INTEGER);
      if ((await this.#versions(name)).length === 0) break;
    }
    await this.#staging.remove(name.path);
  }

  /** Creates the version after the highest, whichever that is. */
  async #replace(name: SwapName, staged: StagedFile): Promise<string> {
    let path = staged.path;
    try {
      for (let attempt = 1; attempt <= PUT_ATTEMPTS_MAX; attempt++) {
        const target = ((await this.#versions(name)).at(-1) ?? 0) + 1;
        const next = this.#staging.newPath(name.stagingPrefix(target));
        if (!(await this.#rename(path, next))) break;
        path = next;
        const holds = (current: Current | undefined): boolean =>
          (current?.version ?? 0) === target - 1;
        const etag = await this.#swap(name, { ...staged, path }, target, holds);
        if (etag !== undefined) return etag;
      }
    } finally {
      await this.#staging.remove(path);
    }
    throw new UnavailableError(`'${name.path}' is replaced faster than it can be written`, {
      path: name.path,
    });
  }

  /** The one step that swaps. The staged file's name contains its target, for processes that prune. */
  async #swap(
    name: SwapName,
    staged: StagedFile,
    target: number,
    holds: (current: Current | undefined) => boolean,
  ): Promise<string | undefined> {
    // Looked up only now that the staged file exists: a version that is pruned after this look is
    // fenced first (#fence), so a writer that was frozen here cannot create it a second time.
    const current = await this.get(name, { range: { offset: 0, length: 0 } });
    if (!holds(current)) return undefined;
    const outcome = await this.#staging.link(staged.path, name.versionPath(target));
    if (outcome !== "linked") return undefined;
    try {
      await this.#directory.syncParent(name.versionPath(target));
      await this.#prune(name, target);
      await this.#refreshCopy(name);
    } catch (error) {
      throw new WriteOutcomeUnknownError(
        `'${name.path}' was replaced by version ${target}, but finishing failed`,
        { path: name.path, cause: error },
      );
    }
    return staged.etag(`v${target}`);
  }

  async #prune(name: SwapName, current: number): Promise<void> {
    const oldest = current - VERSIONS_KEPT + 1;
    const old = (await this.#versions(name)).filter((version) => version < oldest);
    if (old.length === 0) return;
    await this.#fence(name, oldest);
    // Lowest first: who finds a version finds every higher one.
    for (const version of old) await this.#unlink(name, version);
  }

  /** Takes their staged files from writers whose target is below `limit`: their link fails. */
  async #fence(name: SwapName, limit: number): Promise<void> {
    for (const staged of await this.#staging.names()) {
      const target = name.stagingTarget(staged);
      if (target === undefined || target >= limit) continue;
      await this.#staging.remove(`${STAGING_DIRECTORY}/${staged}`);
    }
  }

  async #refreshCopy(name: SwapName): Promise<void> {
    for (let attempt = 1; attempt <= COPY_ATTEMPTS_MAX; attempt++) {
      const version = (await this.#versions(name)).at(-1);
      if (version === undefined) return await this.#staging.remove(name.path); // deleted meanwhile
      const copy = this.#staging.newPath("copy-");
      try {
        if (!(await this.#copy(name.versionPath(version), copy))) continue;
        if (!(await this.#rename(copy, name.path))) continue;
      } finally {
        await this.#staging.remove(copy);
      }
      // A slower writer may have put an older copy over a newer one: the last to look repairs it.
      if ((await this.#versions(name)).at(-1) === version) return;
    }
  }

  /** False when the version was pruned meanwhile. */
  async #copy(from: string, to: string): Promise<boolean> {
    const directory = this.#directory;
    try {
      await directory.files.copyFile(
        directory.absolute(from),
        directory.absolute(to),
        constants.COPYFILE_EXCL,
      );
      return true;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw error;
    }
  }

  /** False when the staged file was taken away. */
  async #rename(from: string, to: string): Promise<boolean> {
    const directory = this.#directory;
    try {
      await directory.files.rename(directory.absolute(from), directory.absolute(to));
      return true;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw error;
    }
  }

  async #unlink(name: SwapName, version: number): Promise<void> {
    const directory = this.#directory;
    await unlessAbsent(directory.files.unlink(directory.absolute(name.versionPath(version))));
  }

  /** Ascending. */
  async #versions(name: SwapName): Promise<number[]> {
    const directory = this.#directory;
    if (!(await directory.hasParents(name.versionPath(1)))) return [];
    const found = await unlessAbsent(directory.files.readdir(directory.absolute(name.directory)));
    const versions = (found ?? []).map((file) => name.versionOf(file.name));
    return versions.filter((version) => version !== undefined).toSorted((a, b) => a - b);
  }
}

/** The version after the one an etag names. */
function nextVersion(etag: string): number | undefined {
  const digits = /^v(\d{1,15})-/.exec(etag)?.[1];
  return digits === undefined ? undefined : Number(digits) + 1;
}
