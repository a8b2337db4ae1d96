/**
 * One object of archived records: a header, then lines as in a run, ascending ids, records only
 * (FORMAT, "Archive"). Record bytes are copied, with their schema version (VERBATIM).
 */
import { hash } from "node:crypto";
import { assert } from "../core/assert.ts";
import type { RunEntry } from "../core/version.ts";
import {
  checkHeader,
  corrupt,
  Fields,
  FORMAT,
  parseObject,
  type Place,
  shorten,
} from "./json-line.ts";
import { decodeRunLines, encodeRunLine } from "./run-codec.ts";

const KIND = "archive";
const LINE_FEED = 10;
/** How much is put together at a time. */
const PIECE_BYTES = 1024 * 1024;

export interface ArchiveHeader {
  /** What the user calls the archive. */
  readonly period: string;
  /** Generation of the manifest its writer started from. */
  readonly base: number;
}

export interface Archive extends ArchiveHeader {
  /** Ascending ids; records only. */
  readonly entries: readonly RunEntry[];
}

/** The object in pieces of about 1 MiB. @param archive its entries ascend, each with a record */
export function* encodeArchive({ period, base, entries }: Archive): Generator<Buffer> {
  let piece = `${encodeHeader({ period, base })}\n`;
  let last: string | undefined;
  for (const entry of entries) {
    assert(entry.text !== undefined, `an archive holds records, no tombstone of '${entry.id}'`);
    assert(last === undefined || last < entry.id, `entries do not ascend at '${entry.id}'`);
    last = entry.id;
    piece += encodeRunLine(entry);
    if (piece.length < PIECE_BYTES) continue;
    yield Buffer.from(piece);
    piece = "";
  }
  if (piece !== "") yield Buffer.from(piece);
}

/**
 * Reads a whole object.
 * @param sha256 of the object, as the manifest has it
 * @throws CorruptionError, FormatVersionError
 */
export function decodeArchive(bytes: Buffer, sha256: string, path: string): Archive {
  const place = { path, offset: 0 };
  const found = hash("sha256", bytes);
  const length = bytes.indexOf(LINE_FEED) + 1;
  if (length === 0) throw corrupt("no whole header", place);
  // The header first: an object of a newer format must be reported as such.
  const header = decodeHeader(bytes.toString("utf8", 0, length - 1), place);
  if (found !== sha256) {
    throw corrupt(`SHA-256 of the archive: expected ${sha256}, found ${found}`, place);
  }
  const entries = decodeRunLines(bytes.subarray(length), { path, offset: length });
  const tombstone = entries.find(({ text }) => text === undefined);
  if (tombstone !== undefined) throw corrupt(`a tombstone of ${shorten(tombstone.id)}`, place);
  return { ...header, entries };
}

function encodeHeader({ period, base }: ArchiveHeader): string {
  assert(period !== "", "a period is never empty");
  assert(Number.isSafeInteger(base) && base >= 0, `base must be a generation, found ${base}`);
  return JSON.stringify({ format: FORMAT, kind: KIND, period, base });
}

function decodeHeader(line: string, place: Place): ArchiveHeader {
  const object = parseObject(line, place);
  checkHeader(object, KIND, place);
  const fields = new Fields(object, place);
  const header = { period: fields.string("period"), base: fields.integer("base") };
  if (header.period === "") throw corrupt("an empty period", place);
  if (line !== encodeHeader(header)) throw corrupt(`odd archive header ${shorten(line)}`, place);
  return header;
}
