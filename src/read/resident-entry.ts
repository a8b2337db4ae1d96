/** Entries in memory. */
import type { Entry, Version } from "../core/version.ts";

/** An entry in memory: the record parsed, its stored form is made again if a tie requires it. */
export class ResidentEntry implements Entry {
  readonly version: Version;
  readonly schema: number;
  /** Undefined is a tombstone. */
  readonly value: unknown;

  constructor(version: Version, schema: number, value: unknown) {
    this.version = version;
    this.schema = schema;
    this.value = value;
  }

  get text(): string | undefined {
    return this.value === undefined ? undefined : JSON.stringify(this.value);
  }
}

/** Stands for "looked up, and there is none": every real entry wins against it. */
export const ABSENT = new ResidentEntry({ clock: 0, agent: "", w: "" }, 0, undefined);
