/**
 * Versions and the one merge rule. Merging any operations in any order, any number of times, yields
 * the same map (PROTOCOL, "State").
 */

/** Orders all operations of a store. No two operations share one (VERSION-UNIQUE). */
export interface Version {
  /** Lamport integer, 1..2^52. */
  readonly clock: number;
  /** The writer's agentId; "" in single-writer mode. */
  readonly agent: string;
  /** `w` in objects: 64 bits of a hash as 16 hex digits, others in every flush (`versionNonce`). */
  readonly writerNonce: string;
  /**
   * `rev` in objects: counts the guarded operations on one plain write, each of which was decided on
   * the one before (VERSION). Absent is 0: the plain write.
   */
  readonly revision?: number;
}

/** Highest clock ever written: leaves room below 2^53 for exact arithmetic. */
export const CLOCK_MAX = 2 ** 52;

/** Order of ids, agents and nonces: by UTF-16 code unit, as JS `<`. Never localeCompare, never bytes. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Negative when `a` is the lower version. */
export function compareVersions(a: Version, b: Version): number {
  return (
    a.clock - b.clock ||
    compareText(a.agent, b.agent) ||
    compareText(a.writerNonce, b.writerNonce) ||
    revisionOf(a) - revisionOf(b)
  );
}

/** 0 is a plain write. */
export function revisionOf({ revision = 0 }: Version): number {
  return revision;
}

/** VERSION: what a guarded operation on `base` has. Nothing lies between the two. */
export function nextRevision({ clock, agent, writerNonce, revision = 0 }: Version): Version {
  return { clock, agent, writerNonce, revision: revision + 1 };
}

/** A version as the key of a map. */
export function keyOf({ clock, agent, writerNonce, revision = 0 }: Version): string {
  return JSON.stringify(
    revision === 0 ? [clock, agent, writerNonce] : [clock, agent, writerNonce, revision],
  );
}

/**
 * What names an operation on a record: versions alone do not, since guarded operations on nothing have
 * one version for all ids (STAND).
 */
export function operationKey(id: string, version: Version): string {
  return revisionOf(version) === 0 ? keyOf(version) : JSON.stringify([keyOf(version), id]);
}

/** What is known of one id at one version. */
export interface Entry {
  readonly version: Version;
  /** `v` in objects: the schema version that the record was written under. */
  readonly schemaVersion: number;
  /** The record's stored JSON, byte for byte; undefined is a tombstone. */
  readonly text: string | undefined;
}

/**
 * Whether `candidate` replaces `current`: the higher version; at one version a tombstone beats a
 * value, of two values the one of the higher schema (a checkpoint has migrated it), and of two of
 * one schema (a cloned process) the greater text.
 */
export function wins(candidate: Entry, current: Entry | undefined): boolean {
  if (current === undefined) return true;
  const order = compareVersions(candidate.version, current.version);
  if (order !== 0) return order > 0;
  if (current.text === undefined) return false;
  if (candidate.text === undefined) return true;
  if (candidate.schemaVersion !== current.schemaVersion)
    return candidate.schemaVersion > current.schemaVersion;
  return candidate.text > current.text;
}

/** An entry with its id: one line of a run. */
export interface RunEntry extends Entry {
  readonly id: string;
  /** Of a tombstone: the generation whose runs held it first, where a merge has noted it. */
  readonly since?: number | undefined;
}

/** An entry in memory: the record parsed, its stored form is made again if a tie requires it. */
export class ResidentEntry implements Entry {
  readonly version: Version;
  readonly schemaVersion: number;
  /** Undefined is a tombstone. */
  readonly value: unknown;

  constructor(version: Version, schemaVersion: number, value: unknown) {
    this.version = version;
    this.schemaVersion = schemaVersion;
    this.value = value;
  }

  get text(): string | undefined {
    return this.value === undefined ? undefined : JSON.stringify(this.value);
  }
}

/** Stands for "looked up, and there is none": every real entry wins against it. */
export const ABSENT = new ResidentEntry({ clock: 0, agent: "", writerNonce: "" }, 0, undefined);
