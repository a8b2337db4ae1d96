/** What the runs hold already of the log, as lists of merged segments name it. */
import { NameList } from "../core/name-list.ts";
import { TextSet } from "../core/text-set.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import { segmentLists } from "../view/live-segments.ts";
import type { CompactorParts } from "./report.ts";

export class KnownLists {
  readonly #parts: Pick<CompactorParts, "manifests" | "onWarning">;
  readonly #lists = new Map<string, NameList>();
  readonly #names = new TextSet();

  constructor(parts: Pick<CompactorParts, "manifests" | "onWarning">) {
    this.#parts = parts;
  }

  /** What they name, by the list. */
  get lists(): ReadonlyMap<string, NameList> {
    return this.#lists;
  }

  /** What lists name that were read. */
  get names(): Pick<TextSet, "has"> {
    return this.#names;
  }

  /**
   * Reads lists that are not known yet. One that cannot be read costs a second, harmless merge.
   * @returns whether there were any
   */
  async read(manifest: Manifest): Promise<boolean> {
    const { manifests, onWarning } = this.#parts;
    const unknown = segmentLists(manifest).filter(({ path }) => !this.#lists.has(path));
    // One after the other: each takes some megabytes while it is decoded.
    for (const { path } of unknown) {
      const lists = await manifests.readLists([path], ({ message }) => {
        onWarning(`a list of merged segments cannot be read: ${message}`);
      });
      const list = lists.get(path) ?? new NameList([]);
      this.#lists.set(path, list);
      for (const name of list.names()) this.#names.add(name);
    }
    return unknown.length > 0;
  }

  /** A list that this pass has written: it takes none of these segments again. */
  add(path: string, list: NameList): void {
    this.#lists.set(path, list);
  }
}
