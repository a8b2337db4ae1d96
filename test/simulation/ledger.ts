/**
 * Every operation that was ever sent, with the version it was sent under: read from the segments
 * themselves, in the moment they are sent and in the moment they land.
 */
import { laneFloor, type Manifest } from "../../src/format/manifest-codec.ts";
import {
  parseClaimPath,
  parseLogFilePath,
  parseSegmentPath,
  parseTxnPath,
} from "../../src/format/paths.ts";
import { FOUNDING_W, type FoundingOp } from "./founding.ts";
import { etagOf } from "./object-server.ts";
import { type Op, placesIn, recordOf, type SegmentRecord, segmentsIn } from "./sent-segments.ts";

/** What identifies an operation of a caller: sets by their unique text, deletions by their id. */
export interface Intent {
  readonly id: string;
  readonly text: string | undefined;
}

/** What is known of one id at one version, wherever it was found. */
export type Versioned = Pick<Op, "clock" | "agent" | "w" | "rev" | "schema" | "text">;

/** PROTOCOL, "State", written down a second time on purpose: negative when `a` loses. */
export function compareOps(a: Versioned, b: Versioned): number {
  if (a.clock !== b.clock) return a.clock - b.clock;
  if (a.agent !== b.agent) return a.agent < b.agent ? -1 : 1;
  if (a.w !== b.w) return a.w < b.w ? -1 : 1;
  if (a.rev !== b.rev) return a.rev - b.rev;
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

/** At the end of a stream's name. */
const RAND_DIGITS = 16;

export class Ledger {
  readonly #segments = new Map<string, readonly SegmentRecord[]>();
  readonly #attempts = new Map<string, SegmentRecord[]>();
  readonly #landedByText = new Map<string, Op[]>();
  readonly #landedById = new Map<string, Op[]>();
  readonly #archivedById = new Map<string, Op[]>();
  readonly #byVersion = new Map<string, Op>();
  readonly #etagByPath = new Map<string, string>();
  /** Random parts of the streams that clones share: what one of them deleted another may write. */
  readonly cloned = new Set<string>();

  /** A segment is about to be sent; gives all that is sent with it. */
  attempted(process: string, path: string, body: Uint8Array): readonly SegmentRecord[] {
    const records = this.#records(process, path, body);
    for (const record of records) {
      const writer = writerName(process, record.agent);
      const attempts = this.#attempts.get(writer);
      if (attempts === undefined) this.#attempts.set(writer, [record]);
      else if (attempts.at(-1) !== record) attempts.push(record);
    }
    return records;
  }

  /** How many segments a writer has sent so far. */
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

  attemptsBetween(process: string, from: number, to: number): readonly SegmentRecord[] {
    return this.#attempts.get(process)?.slice(from, to) ?? [];
  }

  attemptsOf(process: string, from: number, intents: readonly Intent[]): SegmentRecord[] {
    const attempts = this.#attempts.get(process)?.slice(from) ?? [];
    return attempts.filter(({ ops }) =>
      intents.every(({ id, text }) => ops.some((op) => op.id === id && op.text === text)),
    );
  }

  /** An object took its place; gives the complaints, if any. */
  landed(
    path: string,
    body: Uint8Array,
    nowMs: number,
    { purgeFloor, lanes }: Pick<Manifest, "purgeFloor" | "lanes">,
  ): string[] {
    const records = this.#records("?", path, body);
    const [first] = records;
    if (first === undefined) return [];
    if (first.places.some(({ lane, n }) => n <= laneFloor({ lanes }, lane))) {
      for (const record of records) record.isVoid ||= record.landedMs === undefined;
      return [];
    }
    const before = this.#etagByPath.get(path);
    this.#etagByPath.set(path, first.etag);
    const isOther = before !== undefined && before !== first.etag;
    const isOnce = !isOther || first.isFrame || records.some((record) => this.isCloned(record));
    return [
      ...(isOnce ? [] : [`ONCE: ${path} was written a second time with other bytes`]),
      ...records.flatMap((record) => this.#landedRecord(record, nowMs, purgeFloor)),
    ];
  }

  #landedRecord(record: SegmentRecord, nowMs: number, purgeFloor: number): string[] {
    const { path } = record;
    const complaints: string[] = [];
    if (record.isRejected) {
      complaints.push(`REJECTED: ${path} landed although its writer was told nothing was written`);
    }
    if (record.landedMs !== undefined) return complaints;
    for (const text of record.misformed) complaints.push(`SCHEMA: ${path} holds ${text}`);
    record.landedMs = nowMs;
    record.landedFloor = purgeFloor;
    for (const op of record.ops) {
      complaints.push(...this.#checkUnique(op), ...this.#checkBase(op));
      // An undo writes once more what was there before.
      const [twin] = op.text === undefined || isUndo(op) ? [] : this.landedWith(op.text);
      // A clone's name may be free again: a request of before, delivered late, then lands after all.
      const isFreed = twin !== undefined && (this.isCloned(record) || this.isCloned(twin.segment));
      if (twin !== undefined && !isUndo(twin) && !isFreed) {
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
        agent: "",
        lo: clock,
        objectLo: clock,
        isFrame: false,
        places: [],
        isVoid: false,
        ops,
        landedMs: 0,
        landedFloor: 0,
        isAcked: true,
        misformed: [],
        isRejected: false,
      };
      const op = { id, text, clock, agent: "", w: FOUNDING_W, rev: 0, schema: 1, segment };
      ops.push(op);
      push(this.#landedById, id, op);
      this.#byVersion.set(versionKey(id, op), op);
      if (text !== undefined) push(this.#landedByText, text, op);
      return op;
    });
  }

  isCloned({ path }: SegmentRecord): boolean {
    const stream = parseSegmentPath(path)?.stream;
    return stream !== undefined && this.cloned.has(stream.slice(-RAND_DIGITS));
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

  /** VERSION: what it was decided on has landed, or is nothing (STAND). */
  #checkBase({ base, ...op }: Op): string[] {
    if (base === undefined || (base.w === "" && base.rev === 0)) return [];
    if (this.#byVersion.has(versionKey(op.id, base))) return [];
    return [`VERSION: ${describeOp(op)} stands on ${versionKey(op.id, base)}, which never landed`];
  }

  #checkUnique(op: Op): string[] {
    const version = versionKey(op.id, op);
    const same = this.#byVersion.get(version);
    this.#byVersion.set(version, op);
    if (same === undefined) return [];
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

  /** What was sent in these bytes. */
  find(path: string, body: Uint8Array): readonly SegmentRecord[] {
    return this.#segments.get(keyOf(path, etagOf(body))) ?? [];
  }

  #records(process: string, path: string, body: Uint8Array): readonly SegmentRecord[] {
    const isClaim = parseClaimPath(path) !== undefined || parseTxnPath(path) !== undefined;
    const isPlain = parseSegmentPath(path) !== undefined || parseLogFilePath(path) !== undefined;
    if (!isPlain && !isClaim) return [];
    const etag = etagOf(body);
    const known = this.#segments.get(keyOf(path, etag));
    if (known !== undefined) return known;
    const segments = segmentsIn(path, body);
    const clocks = segments.map(({ operations }) => operations[0]?.clock ?? 0);
    const objectLo = isClaim ? Infinity : Math.min(...clocks);
    const sent = { path, etag, process, objectLo, places: placesIn(path, body) };
    const records = segments.map((segment) => recordOf(segment, sent));
    this.#segments.set(keyOf(path, etag), records);
    return records;
  }
}

/** The stores of a process have different agents, where there are several that write. */
export function writerName(process: string, agent: string): string {
  return `${process} ${agent}`;
}

/** Of a frame its content, wherever it was appended. */
function keyOf(path: string, etag: string): string {
  return parseLogFilePath(path) === undefined ? `${path} ${etag}` : `frame ${etag}`;
}

export function isUndo({ undoes }: Op): boolean {
  return undoes !== undefined;
}

/** Records that were absent, or in a snapshot of the original, share a version: the record tells. */
function versionKey(
  id: string,
  { clock, agent, w, rev }: Omit<Versioned, "schema" | "text">,
): string {
  return `${clock} ${agent} ${w} ${rev}${/[1-9a-f]/.test(w) ? "" : ` ${id}`}`;
}

export function isSameWriter(a: Op, b: Op): boolean {
  // A guarded operation has the agent of the plain write below it in its version.
  return a.segment.agent === b.segment.agent && a.segment.process === b.segment.process;
}

export function describeOp({ id, text, clock, segment }: Op): string {
  return `${id}=${text ?? "deleted"} at ${clock} by ${segment.process} (${segment.path})`;
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}
