/** What the runs hold already of the log and of the lanes, as lists of what was merged name it. */
import { NameList } from "../core/name-list.ts";
import { TextSet } from "../core/text-set.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import { claimLists, segmentLists } from "../view/live-segments.ts";
import type { CompactorParts } from "./report.ts";

export class KnownLists {
  readonly #parts: Pick<CompactorParts, "manifests" | "onWarning">;
  readonly #lists = new Map<string, NameList>();
  readonly #withClaims: boolean;
  readonly #names = new TextSet();
  readonly #claims = new Set<string>();
  #isUnread = false;

  /** @param withClaims whether lists of claims are for this pass */
  constructor(parts: Pick<CompactorParts, "manifests" | "onWarning">, withClaims: boolean) {
    this.#parts = parts;
    this.#withClaims = withClaims;
  }

  /** What they name, by the list. */
  get lists(): ReadonlyMap<string, NameList> {
    return this.#lists;
  }

  /** Claims and transactions that lists name; undefined: not all of these could be read. */
  get claims(): ReadonlySet<string> | undefined {
    return this.#isUnread ? undefined : this.#claims;
  }

  /** Segments that lists name which were read. */
  get names(): Pick<TextSet, "has"> {
    return this.#names;
  }

  /**
   * Reads lists that are not known yet. One that cannot be read costs a second, harmless merge.
   * @returns whether there were any of segments
   */
  async read(manifest: Manifest): Promise<boolean> {
    const unknown = segmentLists(manifest).filter(({ path }) => !this.#lists.has(path));
    // One after the other: each takes some megabytes while it is decoded.
    for (const { path } of unknown) {
      for (const name of (await this.#read(path)) ?? []) this.#names.add(name);
    }
    const claims = this.#withClaims ? claimLists(manifest) : [];
    for (const path of claims.filter((one) => !this.#lists.has(one))) {
      const names = await this.#read(path);
      this.#isUnread ||= names === undefined;
      for (const name of names ?? []) this.#claims.add(name);
    }
    return unknown.length > 0;
  }

  /** Undefined: it cannot be read, or is gone. */
  async #read(path: string): Promise<readonly string[] | undefined> {
    const { manifests, onWarning } = this.#parts;
    const lists = await manifests.readLists([path], ({ message }) => {
      onWarning(`a list of merged segments cannot be read: ${message}`);
    });
    const list = lists.get(path);
    this.#lists.set(path, list ?? new NameList([]));
    return list?.names();
  }

  /** A list that this pass has written: it takes none of these segments again. */
  add(path: string, list: NameList): void {
    this.#lists.set(path, list);
  }
}
