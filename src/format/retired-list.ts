/** `….retired`: names of objects that are deleted together, before the list (FORMAT, "Lists"). */
import {
  checkHeader,
  checkSealedLine,
  corrupt,
  Fields,
  FORMAT,
  isSealedAsOurs,
  parseObject,
  sealLine,
} from "./json-line.ts";

const KIND = "retired";
const LINE_FEED = 10;

/** One sealed header line, then one path a line, as JSON. */
export function encodeRetiredList(paths: readonly string[]): Buffer {
  const body = Buffer.from(paths.map((path) => `${JSON.stringify(path)}\n`).join(""));
  const header = { format: FORMAT, kind: KIND, count: paths.length, bytes: body.length };
  return Buffer.concat([Buffer.from(`${sealLine(JSON.stringify(header), body)}\n`), body]);
}

/** @throws CorruptionError, FormatVersionError */
export function decodeRetiredList(bytes: Uint8Array, path: string): string[] {
  const place = { path, offset: 0 };
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = buffer.indexOf(LINE_FEED);
  if (end < 0) throw corrupt("no complete header line", place);
  const line = buffer.toString("utf8", 0, end);
  const header = parseObject(line, place);
  const body = buffer.subarray(end + 1);
  checkHeader(header, KIND, place, () => isSealedAsOurs(line, body));
  checkSealedLine(line, place, body);
  const paths = body.toString("utf8").split("\n").slice(0, -1).map(parsePath);
  const fields = new Fields(header, place);
  if (paths.length !== fields.integer("count") || body.length !== fields.integer("bytes")) {
    throw corrupt(`${paths.length} paths in ${body.length} bytes, not what the header says`, place);
  }
  return paths;

  function parsePath(text: string): string {
    return new Fields(parseObject(`{"path":${text}}`, place), place).string("path");
  }
}
