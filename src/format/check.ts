/** Small checks for decoders: bytes become values only in this room, and never unchecked. */
import { AssertionError, CorruptionError, FormatVersionError } from "../core/errors.ts";
import { isErrorNamed } from "../core/realm.ts";

/** The one format version this code writes and the newest it reads. */
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
 * @param isOurs whether a checksum shows that the header was written with the format of this code
 * @throws FormatVersionError when a newer package wrote it, CorruptionError when it is foreign
 */
export function checkHeader(
  header: Record<string, unknown>,
  kind: string,
  place: Place,
  isOurs: () => boolean = () => false,
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
  if (format > FORMAT) {
    if (isOurs()) throw corrupt(`format: expected ${FORMAT}, found ${format}`, place);
    throw new FormatVersionError(
      `${place.path} has format ${format}, this version of opslog-serverless reads up to ${FORMAT}: update it`,
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
