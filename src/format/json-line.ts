/**
 * A line of JSON, of which every stored object is made: its header, its fields, and the checksum that
 * a sealed line carries as its last field. Bytes become values only in this room, and never
 * unchecked.
 */
import { crc32 } from "node:zlib";
import { AssertionError, CorruptionError, FormatVersionError } from "../core/errors.ts";
import { isErrorNamed } from "../core/realm.ts";

/** The one format version this code writes and the newest it reads, of all but the manifest. */
export const FORMAT = 1;

/** Where a value was read: an object and the byte offset of the line that holds it. */
export interface Place {
  readonly path: string;
  readonly offset: number;
}

export function corrupt(what: string, { path, offset }: Place, cause?: unknown): CorruptionError {
  return new CorruptionError(`${path} at byte ${offset}: ${what}`, { path, offset, cause });
}

/** @throws CorruptionError unless `text` is a JSON object */
export function parseObject(text: string, place: Place): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw corrupt(`not JSON: ${shorten(text)}`, place, cause);
  }
  if (!isObject(value)) throw corrupt(`expected a JSON object, found ${shorten(text)}`, place);
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Checks the `format` and `kind` of a header.
 * @param isOurs whether a checksum shows that the header was written with a format of this code
 * @param newest format that this code reads. Default: that of all objects but the manifest
 * @throws FormatVersionError when a newer package wrote it, CorruptionError when it is foreign
 */
export function checkHeader(
  header: Record<string, unknown>,
  kind: string,
  place: Place,
  isOurs: () => boolean = () => false,
  newest: number = FORMAT,
): void {
  const { format } = header;
  if (
    header["kind"] !== kind ||
    typeof format !== "number" ||
    !Number.isInteger(format) ||
    format < 1
  ) {
    throw corrupt(`expected a ${kind} header, found ${describeJson(header)}`, place);
  }
  if (format > newest) {
    if (isOurs()) throw corrupt(`format: expected ${newest}, found ${format}`, place);
    throw new FormatVersionError(
      `${place.path} has format ${format}, this version of opslog-serverless reads up to ${newest}: update it`,
      place,
    );
  }
}

/** A value for a message; JSON can be nested so deeply that it cannot be written again. */
export function describeJson(value: unknown): string {
  try {
    return shorten(JSON.stringify(value) ?? "nothing");
  } catch (error) {
    if (isErrorNamed(error, "RangeError")) return "deeply nested JSON";
    throw error;
  }
}

/**
 * Encoders check what they have put together by the decoder's own rules: what no decoder can read must
 * not be written.
 */
export function checkReadable(what: string, decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    throw new AssertionError(
      `${what}: what was about to be written cannot be read: ${error.message}`,
    );
  }
}

/** A part of the text for a message: long or hostile input must not flood a log. */
export function shorten(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

/** A field with the type its name promises, or CorruptionError. */
export class Fields {
  readonly #object: Record<string, unknown>;
  readonly #place: Place;

  constructor(object: Record<string, unknown>, place: Place) {
    this.#object = object;
    this.#place = place;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#object, name);
  }

  get(name: string): unknown {
    return Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
  }

  string(name: string): string {
    const value = this.get(name);
    if (typeof value !== "string") throw this.#wrong(name, "a string");
    return value;
  }

  integer(name: string, least = 0, most = Number.MAX_SAFE_INTEGER): number {
    const value = this.get(name);
    if (
      typeof value !== "number" ||
      !Number.isSafeInteger(value) ||
      value < least ||
      value > most
    ) {
      throw this.#wrong(name, `an integer in ${least}..${most}`);
    }
    return value;
  }

  matching(name: string, pattern: RegExp, what: string): string {
    const value = this.string(name);
    if (!pattern.test(value)) throw this.#wrong(name, what);
    return value;
  }

  array(name: string): readonly unknown[] {
    const value = this.get(name);
    if (!Array.isArray(value)) throw this.#wrong(name, "an array");
    return value;
  }

  #wrong(name: string, expected: string): CorruptionError {
    const found = describeJson(this.get(name));
    return corrupt(`field "${name}": expected ${expected}, found ${found}`, this.#place);
  }
}

/** An object that is one sealed line. @returns its bytes, and the checksum that it carries */
export function encodeSealed(content: object): { readonly body: Buffer; readonly crc: string } {
  const line = sealLine(JSON.stringify(content));
  return { body: Buffer.from(`${line}\n`), crc: sealOf(line) ?? "" };
}

/**
 * @param newest as `checkHeader` documents
 * @throws CorruptionError, FormatVersionError
 */
export function decodeSealed(
  bytes: Uint8Array,
  kind: string,
  place: Place,
  newest: number = FORMAT,
): { readonly fields: Fields; readonly crc: string } {
  const text = Buffer.from(bytes).toString("utf8");
  const line = text.trimEnd();
  const object = parseObject(line, place);
  checkHeader(object, kind, place, () => isSealedAsOurs(line, undefined, newest), newest);
  if (text !== `${line}\n`) throw corrupt("expected one line with its line feed", place);
  checkSealedLine(line, place);
  return { fields: new Fields(object, place), crc: sealOf(line) ?? "" };
}

/** Stands where the checksum of a sealed line stands while it is computed: CRC-32 (zlib's). */
const ZEROS = '"crc":"00000000"}';
/** Of the end of a sealed line, with its checksum. */
export const SEAL_BYTES = ZEROS.length;

/**
 * Adds a checksum of the line itself and of the bytes that follow it.
 * @param json text of a non-empty JSON object; the result has no line feed
 */
export function sealLine(json: string, following: Uint8Array = new Uint8Array()): string {
  const open = `${json.slice(0, -1)},`;
  return `${open}"crc":"${checksum(`${open}${ZEROS}`, following)}"}`;
}

/** @throws CorruptionError when the line's checksum is missing or does not hold */
export function checkSealedLine(
  line: string,
  place: Place,
  following: Uint8Array = new Uint8Array(),
): void {
  const found = sealOf(line);
  if (found === undefined) throw corrupt("no checksum at the end of the line", place);
  const expected = checksum(`${line.slice(0, -ZEROS.length)}${ZEROS}`, following);
  if (found !== expected) throw corrupt(`checksum: expected ${expected}, found ${found}`, place);
}

/**
 * Whether the checksum holds once the line's `format` is taken for ours: then no newer package
 * wrote the line, its number was damaged.
 */
export function isSealedAsOurs(
  line: string,
  following: Uint8Array = new Uint8Array(),
  newest: number = FORMAT,
): boolean {
  return Array.from({ length: newest }, (_, at) => at + 1).some((format) => {
    const ours = line.replace(/^\{"format":[^,]{1,20},/, `{"format":${format},`);
    return sealOf(line) === checksum(`${ours.slice(0, -ZEROS.length)}${ZEROS}`, following);
  });
}

/** The checksum that a line carries, whether or not it holds; undefined without one. */
export function sealOf(line: string): string | undefined {
  return /"crc":"([0-9a-f]{8})"\}$/.exec(line)?.[1];
}

/** CRC-32 of some bytes, as lines carry it. */
export function checksumOf(bytes: Uint8Array): string {
  return hex(crc32(bytes));
}

function checksum(line: string, following: Uint8Array): string {
  return hex(crc32(following, crc32(`${line}\n`)));
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}
