/** A mechanism of the engine that can be switched off: by other text in place of its source text. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Edit {
  /** Relative to `src`. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly put: string;
}

/** A named test that fails with the mutant: where the simulation cannot tell. */
export interface KillingTest {
  /** Relative to `test`. */
  readonly file: string;
  /** A part of its name. */
  readonly name: string;
}

export interface Mutant {
  readonly name: string;
  /** Invariants and steps of PROTOCOL, the invariant first. */
  readonly breaks: readonly string[];
  /** What the engine does with it. */
  readonly does: string;
  readonly edits: readonly Edit[];
  /** Undefined: a seed of the simulation finds it. */
  readonly test?: KillingTest;
}

const SOURCES = new URL("../../../src/", import.meta.url);

/** @param root where `src` is; for a bundle, which lies elsewhere */
export function readSource(file: string, root: URL = SOURCES): string {
  return readFileSync(fileURLToPath(new URL(file, root)), "utf8");
}

/** The text of a file with the edits that concern it. @throws Error where a text does not occur once */
export function applyEdits(file: string, text: string, { name, edits }: Mutant): string {
  let edited = text;
  for (const { find, put } of edits.filter((edit) => edit.file === file)) {
    const places = edited.split(find).length - 1;
    if (places !== 1) {
      throw new Error(
        `mutant ${name}: expected once in src/${file}, found ${places} times: ${find}`,
      );
    }
    edited = edited.replace(find, () => put);
  }
  return edited;
}
