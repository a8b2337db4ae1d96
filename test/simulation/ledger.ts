/**
 * Every operation that was ever sent, with the version it was sent under: read from the segments
 * themselves, in the moment they are sent and in the moment they land.
 */
import type { Version } from "../../src/core/version.ts";
import { parseLogFilePath, parseSegmentPath } from "../../src/format/paths.ts";
import { decodeSegment } from "../../src/format/segment-codec.ts";
import { hasForm, plainText } from "./form.ts";
import { FOUNDING_W, type FoundingOp } from "./founding.ts";
import { etagOf } from "./object-server.ts";

export interface Op {
  readonly id: string;
  /** The stored record; undefined is a deletion. */
  readonly text: string | undefined;
  readonly clock: number;
  readonly agent: string;
  readonly w: string;
  /** Schema version it was written under. */
  readonly schema: number;
  readonly segment: SegmentRecord;
  /** Of an undo: what it undoes. */
  readonly undoes?: Version | undefined;
}

export interface SegmentRecord {
  readonly path: string;
  readonly etag: string;
  readonly process: string;
  readonly lo: number;
  /** Appended to a file: the same frame may be appended to another as well. */
  readonly isFrame: boolean;
  readonly ops: readonly Op[];
  landedMs: number | undefined;
  /** The purge floor when it landed first. */
  landedFloor: number;
  isAcked: boolean;
  /** Records in it that have not the form of its schema version. */
  readonly misformed: readonly string[];
  /** Its writer was told that nothing was written. */
  isRejected: boolean;
}

/** What identifies an operation of a caller: sets by their unique text, deletions by their id. */
export interface Intent {
  readonly id: string;
  readonly text: string | undefined;
}

/** What is known of one id at one version, wherever it was found. */
export type Versioned = Pick<Op, "clock" | "agent" | "w" | "schema" | "text">;

/** PROTOCOL, "State", written down a second time on purpose: negative when `a` loses. */
export function compareOps(a: Versioned, b: Versioned): number {
  if (a.clock !== b.clock) return a.clock - b.clock;
  if (a.agent !== b.agent) return a.agent < b.agent ? -1 : 1;
  if (a.w !== b.w) return a.w < b.w ? -1 : 1;
  if (a.text === b.text) return 0;
  if (a.text === undefined) return 1;
  if (b.text === undefined) return -1;
  if (a.schema !== b.schema) return a.schema - b.schema;
  return a.text < b.text ? -1 : 1;
}

/** Takes an operation in where nothing higher is known. */
export function raise(least: Map<string, Op>, op: Op): void {
  const before = least.get(op.id);
  if (before === undefined || compareOps(op, before) > 0) least.set(op.id, op);
}

export class Ledger {
  readonly #segments = new Map<string, SegmentRecord>();
  readonly #attempts = new Map<string, SegmentRecord[]>();
  readonly #landedByText = new Map<string, Op[]>();
  readonly #landedById = new Map<string, Op[]>();
  readonly #archivedById = new Map<string, Op[]>();
  readonly #byVersion = new Map<string, Op>();
  readonly #etagByPath = new Map<string, string>();
  /** `w` of cloned processes: the one source of equal versions. */
  readonly cloned = new Set<string>();

  /** A segment is about to be sent. */
  attempted(process: string, path: string, body: Uint8Array): void {
    const record = this.#record(process, path, body);
    if (record === undefined) return;
    const attempts = this.#attempts.get(process);
    if (attempts === undefined) this.#attempts.set(process, [record]);
    else if (attempts.at(-1) !== record) attempts.push(record);
  }

  /** How many segments a process has sent so far. */
  attemptCount(process: string): number {
    return this.#attempts.get(process)?.length ?? 0;
  }

  /** The last segment a process sent, of those after `from`, that holds all of these. */
  findAttempt(
    process: string,
    from: number,
    intents: readonly Intent[],
  ): SegmentRecord | undefined {
    return this.attemptsOf(process, from, intents).at(-1);
  }

  /** The undo that a process sent after `from`. */
  undoSince(process: string, from: number): Op | undefined {
    const sent = this.#attempts.get(process)?.slice(from) ?? [];
    return sent.flatMap(({ ops }) => ops).findLast(isUndo);
  }

  attemptsOf(process: string, from: number, intents: readonly Intent[]): SegmentRecord[] {
    const attempts = this.#attempts.get(process)?.slice(from) ?? [];
    return attempts.filter(({ ops }) =>
      intents.every(({ id, text }) => ops.some((op) => op.id === id && op.text === text)),
    );
  }

  /** An object took its place; gives the complaints, if any. */
  landed(path: string, body: Uint8Array, nowMs: number, purgeFloor: number): string[] {
    const record = this.#record("?", path, body);
    if (record === undefined) return [];
    const complaints: string[] = [];
    const isCloned = this.isCloned(record);
    const before = this.#etagByPath.get(path);
    this.#etagByPath.set(path, record.etag);
    if (before !== undefined && before !== record.etag && !isCloned && !record.isFrame) {
      complaints.push(`ONCE: ${path} was written a second time with other bytes`);
    }
    if (record.isRejected) {
      complaints.push(`REJECTED: ${path} landed although its writer was told nothing was written`);
    }
    if (record.landedMs !== undefined) return complaints;
    for (const text of record.misformed) complaints.push(`SCHEMA: ${path} holds ${text}`);
    record.landedMs = nowMs;
    record.landedFloor = purgeFloor;
    for (const op of record.ops) {
      complaints.push(...this.#checkUnique(op, isCloned));
      // An undo writes once more what was there before.
      const [twin] = op.text === undefined || isUndo(op) ? [] : this.landedWith(op.text);
      if (twin !== undefined && !isUndo(twin) && !isCloned && !this.isCloned(twin.segment)) {
        complaints.push(`TWICE: one write landed as ${describeOp(twin)} and as ${describeOp(op)}`);
      }
      push(this.#landedById, op.id, op);
      if (op.text !== undefined) push(this.#landedByText, op.text, op);
    }
    return complaints;
  }

  /** Operations that were there before everything else, each by itself. */
  founded(founding: readonly FoundingOp[]): Op[] {
    return founding.map(({ id, text, clock }) => {
      const ops: Op[] = [];
      const segment = {
        path: "the original's",
        etag: "",
        process: "original",
        lo: clock,
        isFrame: false,
        ops,
        landedMs: 0,
        landedFloor: 0,
        isAcked: true,
        misformed: [],
        isRejected: false,
      };
      const op = { id, text, clock, agent: "", w: FOUNDING_W, schema: 1, segment };
      ops.push(op);
      push(this.#landedById, id, op);
      if (text !== undefined) push(this.#landedByText, text, op);
      return op;
    });
  }

  isCloned({ ops }: SegmentRecord): boolean {
    return ops.some(({ w }) => this.cloned.has(w));
  }

  /** Absence is right when a deletion or an archive, purged or not, stands above what is known. */
  mayBeAbsent(id: string, least: Op): boolean {
    const deletions = this.landedOf(id).filter(({ text }) => text === undefined);
    return [...deletions, ...this.archivedOf(id)].some((op) => compareOps(op, least) >= 0);
  }

  /** An archive with this operation was published; `op` is what stands in its place. */
  archived(op: Op): void {
    push(this.#archivedById, op.id, op);
  }

  archivedOf(id: string): readonly Op[] {
    return this.#archivedById.get(id) ?? [];
  }

  /** Every id of which something is archived, with that. */
  allArchived(): ReadonlyMap<string, readonly Op[]> {
    return this.#archivedById;
  }

  #checkUnique(op: Op, isCloned: boolean): string[] {
    const version = `${op.clock} ${op.agent} ${op.w}`;
    const same = this.#byVersion.get(version);
    this.#byVersion.set(version, op);
    if (same === undefined || isCloned) return [];
    return [
      `VERSION-UNIQUE: ${describeOp(same)} and ${describeOp(op)} have the version ${version}`,
    ];
  }

  /** Landed operations with this record; more than one when a clone's answer made it write again. */
  landedWith(text: string): readonly Op[] {
    return this.#landedByText.get(text) ?? [];
  }

  /**
   * Appended behind a seal and never acknowledged: it goes with its file, and whoever has seen it
   * keeps it until a later write (FENCE).
   */
  isVanished(id: string, text: string | undefined, winner: Versioned | undefined): boolean {
    return this.landedOf(id).some((op) => {
      const { isFrame, isAcked } = op.segment;
      const isGone = winner === undefined || compareOps(op, winner) > 0;
      return isFrame && !isAcked && isGone && op.text === text;
    });
  }

  landedOf(id: string): readonly Op[] {
    return this.#landedById.get(id) ?? [];
  }

  find(path: string, body: Uint8Array): SegmentRecord | undefined {
    return this.#segments.get(keyOf(path, etagOf(body)));
  }

  #record(process: string, path: string, body: Uint8Array): SegmentRecord | undefined {
    const name = parseSegmentPath(path);
    const isFrame = parseLogFilePath(path) !== undefined;
    if (name === undefined && !isFrame) return undefined;
    const etag = etagOf(body);
    const known = this.#segments.get(keyOf(path, etag));
    if (known !== undefined) return known;
    const { agent, w, v, operations } = decodeSegment(body, { path, offset: 0 });
    const misformed: string[] = [];
    const ops: Op[] = [];
    const record: SegmentRecord = {
      path,
      etag,
      process,
      lo: name?.lo ?? operations[0]?.clock ?? 0,
      isFrame,
      ops,
      landedMs: undefined,
      landedFloor: 0,
      isAcked: false,
      misformed,
      isRejected: false,
    };
    for (const { id, op, data, clock, undoes } of operations) {
      const stored = op === "set" ? JSON.stringify(data) : undefined;
      if (stored !== undefined && !hasForm(stored, v)) misformed.push(stored);
      const text = stored && plainText(stored);
      ops.push({ id, text, clock, agent, w, schema: v, segment: record, undoes });
    }
    this.#segments.set(keyOf(path, etag), record);
    return record;
  }
}

/** Of a frame its content, wherever it was appended. */
function keyOf(path: string, etag: string): string {
  return parseLogFilePath(path) === undefined ? `${path} ${etag}` : `frame ${etag}`;
}

function isUndo({ undoes }: Op): boolean {
  return undoes !== undefined;
}

export function describeOp({ id, text, clock, segment }: Op): string {
  return `${id}=${text ?? "deleted"} at ${clock} by ${segment.process} (${segment.path})`;
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}
