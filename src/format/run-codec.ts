/**
 * Lines of a run: a header, then one line per id in ascending order (FORMAT, "Run"), or packed blocks
 * of such lines (`run-block.ts`). There is
 * exactly one way to write an entry, and the decoder refuses every other. `data` comes last, so
 * that a record's bytes are cut out and copied, never parsed (VERBATIM).
 */
import { isUtf8 } from "node:buffer";
import { assert } from "../core/assert.ts";
import type { Compression } from "../core/compression.ts";
import { CLOCK_MAX, type RunEntry, revisionOf, type Version } from "../core/version.ts";
import {
  checkHeader,
  corrupt,
  Fields,
  FORMAT,
  parseObject,
  type Place,
  shorten,
} from "./json-line.ts";
import { methodOf } from "./run-block.ts";
import { assertStorable, decodeVersion } from "./version-codec.ts";

const KIND = "run";
const LINE_FEED = 10;
/**
 * Inside a JSON string a quote follows a backslash, so the first of these in a line stands at its
 * top level, whatever id, agent and data hold.
 */
const DATA = ',"data":';
const DELETED = ',"deleted":true}';
const COMPRESSIONS: readonly Compression[] = ["none", "deflate", "zstd"];

export interface RunHeader {
  /** Generation of the manifest its writer started from. */
  readonly base: number;
  /** Of its blocks; a block that did not become shorter is stored as it is. */
  readonly compression: Compression;
}

/** Returns no line feed. */
export function encodeRunHeader({ base, compression }: RunHeader): string {
  assert(Number.isSafeInteger(base) && base >= 0, `base must be a generation, found ${base}`);
  const method = compression === "none" ? undefined : methodOf(compression);
  return JSON.stringify({ format: FORMAT, kind: KIND, base, compression: method });
}

/** @throws CorruptionError, FormatVersionError (a newer package wrote it) */
export function decodeRunHeader(line: string, place: Place): RunHeader {
  const object = parseObject(line, place);
  checkHeader(object, KIND, place);
  const base = new Fields(object, place).integer("base");
  const known = COMPRESSIONS.map((compression) => ({ base, compression }));
  const header = known.find((each) => line === encodeRunHeader(each));
  if (header === undefined) throw corrupt(`odd run header ${shorten(line)}`, place);
  return header;
}

/** One line, with its line feed. */
export function encodeRunLine(entry: RunEntry): string {
  const { text, schemaVersion } = entry;
  assert(entry.id !== "", "a record id is never empty");
  assertStorable(entry.version);
  assert(
    Number.isSafeInteger(schemaVersion) && schemaVersion >= 1,
    `schema version ${schemaVersion}`,
  );
  const { since = 1 } = entry;
  assert(text === undefined || entry.since === undefined, "only a tombstone has a generation");
  assert(Number.isSafeInteger(since) && since >= 1, `generation ${since}`);
  const head = encodeHead(entry);
  if (text === undefined) return `${head}${DELETED}\n`;
  assert(isTextWhole(text), `data of record '${entry.id}' is not one JSON value`);
  assert(!text.includes("\n") && text.isWellFormed(), `data of '${entry.id}' is not one line`);
  return `${head}${DATA}${text}}\n`;
}

/** Reads one line, without its line feed. @throws CorruptionError for what is never written */
export function decodeRunLine(line: string, place: Place): RunEntry {
  const at = line.indexOf(DATA);
  if (!line.endsWith(at < 0 ? DELETED : "}")) {
    throw corrupt(`neither a record nor a tombstone: ${shorten(line)}`, place);
  }
  const head = line.slice(0, at < 0 ? -DELETED.length : at);
  const text = at < 0 ? undefined : line.slice(at + DATA.length, -1);
  if (text !== undefined && !isTextWhole(text)) {
    throw corrupt(`data is not one JSON value: ${shorten(text)}`, place);
  }
  if (PLAIN_HEAD.test(head)) {
    const plain = JSON.parse(`${head}}`) as PlainHead;
    const { id, v } = plain;
    if (plain.clock <= CLOCK_MAX)
      return { id, version: plainVersion(plain), schemaVersion: v, text };
  }
  const entry = decodeHead(head, text, place);
  if (entry.id === "") throw corrupt("an empty id", place);
  if (encodeHead(entry) !== head) throw corrupt(`odd spelling: ${shorten(head)}`, place);
  return entry;
}

/** Where lines stand in a run. */
export interface LinesPlace extends Place {
  /** They come out of a packed block, whose offset is that of all of them. Default false. */
  readonly isPacked?: boolean;
}

/** The place of what begins so many bytes behind the first line. */
export function placeWithin({ path, offset, isPacked = false }: LinesPlace, start: number): Place {
  return { path, offset: isPacked ? offset : offset + start };
}

/**
 * Reads consecutive whole lines.
 * @param after the id before the first line, which all must exceed
 * @throws CorruptionError with the offset of the line
 */
export function decodeRunLines(bytes: Buffer, place: LinesPlace, after?: string): RunEntry[] {
  const entries: RunEntry[] = [];
  const isClean = isUtf8(bytes);
  let last = after;
  for (let start = 0; start < bytes.length;) {
    const at = placeWithin(place, start);
    const end = bytes.indexOf(LINE_FEED, start);
    if (end < 0) throw corrupt("the last line is not complete", at);
    // Decoding replaces malformed UTF-8 in silence, and the record would no longer be VERBATIM.
    if (!isClean && !isUtf8(bytes.subarray(start, end))) throw corrupt("not UTF-8", at);
    const entry = decodeRunLine(bytes.toString("utf8", start, end), at);
    if (last !== undefined && entry.id <= last) {
      throw corrupt(`ids must ascend: ${shorten(entry.id)} after ${shorten(last)}`, at);
    }
    entries.push(entry);
    last = entry.id;
    start = end + 1;
  }
  return entries;
}

/**
 * Finds an id among whole lines whose checksum has been verified. An id has one spelling, so its
 * line is found by its first bytes and no other line is decoded.
 */
export function findRunLine(bytes: Buffer, id: string, place: LinesPlace): RunEntry | undefined {
  const start = Buffer.from(`{"id":${JSON.stringify(id)},"clock":`);
  for (let at = bytes.indexOf(start); at >= 0; at = bytes.indexOf(start, at + 1)) {
    // The same bytes may stand inside the data of another record.
    if (at > 0 && bytes[at - 1] !== LINE_FEED) continue;
    const end = bytes.indexOf(LINE_FEED, at);
    const found = placeWithin(place, at);
    if (end < 0) throw corrupt("the last line is not complete", found);
    return decodeRunLine(bytes.toString("utf8", at, end), found);
  }
  return undefined;
}

function encodeHead({ id, version, schemaVersion, since }: RunEntry): string {
  const { clock, agent, writerNonce } = version;
  const revision = revisionOf(version);
  const [idJson, agentJson] = [JSON.stringify(id), JSON.stringify(agent)];
  const rev = revision === 0 ? "" : `,"rev":${revision}`;
  const noted = since === undefined ? "" : `,"since":${since}`;
  return `{"id":${idJson},"clock":${clock},"agent":${agentJson},"w":"${writerNonce}"${rev},"v":${schemaVersion}${noted}`;
}

/** As heads are spelled whose strings need no escapes: the checks of any other would find nothing. */
const PLAIN_HEAD =
  /^\{"id":"[^"\\\0-\x1f\ud800-\udfff]+","clock":(?:0|[1-9]\d{0,15}),"agent":(?:"[^"\\\0-\x1f\ud800-\udfff]*","w":"[0-9a-f]{16}"(?:,"rev":[1-9]\d{0,14})?|"","w":"","rev":[1-9]\d{0,14}),"v":[1-9]\d{0,14}$/;

/** As the head of a line spells it. */
export interface PlainVersion {
  readonly clock: number;
  readonly agent: string;
  readonly w: string;
  readonly rev?: number;
}

interface PlainHead extends PlainVersion {
  readonly id: string;
  readonly v: number;
}

/** Of a head that is spelled in the ordinary way. */
export function plainVersion({ clock, agent, w, rev }: PlainVersion): Version {
  const version = { clock, agent, writerNonce: w };
  return rev === undefined ? version : { ...version, revision: rev };
}

function decodeHead(head: string, text: string | undefined, place: Place): RunEntry {
  const fields = new Fields(parseObject(`${head}}`, place), place);
  return {
    id: fields.string("id"),
    // 0: it was in a legacy snapshot, below every operation.
    version: decodeVersion(fields, 0),
    schemaVersion: fields.integer("v", 1),
    text,
    ...(text === undefined && fields.has("since") ? { since: fields.integer("since", 1) } : {}),
  };
}

/** Whether a text begins and ends as one JSON value does; what lies between is for its reader. */
function isTextWhole(text: string): boolean {
  const last = text.at(-1) ?? "";
  switch (text[0]) {
    case "{":
      return last === "}";
    case "[":
      return last === "]";
    case '"':
      return text.length > 1 && last === '"';
    case "t":
      return text === "true";
    case "f":
      return text === "false";
    case "n":
      return text === "null";
    default:
      return /^-?\d/.test(text) && last >= "0" && last <= "9";
  }
}
