/**
 * Catalogues: objects that describe runs of one level, which a manifest then names by few bytes
 * (FORMAT, "Catalogues"), so that it stays small while the store grows.
 */
import {
  checkReadable,
  corrupt,
  decodeSealed,
  encodeSealed,
  Fields,
  FORMAT,
  type Place,
} from "./json-line.ts";
import type { RunInfo } from "./run-info.ts";
import { asObject, CRC, decodeRunInfo, encodeRunInfo } from "./run-info-codec.ts";

/** What a manifest keeps of runs in a catalogue: what plans need, and reads of other ids. */
export interface RunsSummary {
  readonly runs: number;
  /** Of the runs' objects. */
  readonly bytes: number;
  /** Of the lines that count, without compression: what a merge of them goes through. */
  readonly visibleBytes: number;
  readonly records: number;
  readonly tombstones: number;
  /** Every id that counts is >= it. */
  readonly from: string;
  /** Every id that counts is below it. */
  readonly to: string;
  readonly minSchema: number;
  /** Of the oldest data, where it is noted. */
  readonly oldestMs?: number;
}

/** A catalogue as the manifest names it. */
export interface Catalogue extends RunsSummary {
  readonly path: string;
  /** Of its runs. It is not in the object, since levels are numbered anew while their runs stay. */
  readonly level: number;
  /** The checksum that the object carries, so that no other is taken for it. */
  readonly crc: string;
  /** In the order of their ids; undefined while they were not read. Not in the manifest. */
  readonly content?: readonly RunInfo[] | undefined;
}

const KIND = "catalogue";
const CATALOGUE_PATH = /^snapshots\/[A-Za-z0-9-]+\.catalogue$/;

/** One sealed line. @returns its bytes, and the checksum that it carries */
export function encodeCatalogue(
  runs: readonly RunInfo[],
  path: string,
): { readonly body: Buffer; readonly crc: string } {
  const items = runs.map((run) => encodeRunInfo({ ...run, level: undefined }));
  const { body, crc } = encodeSealed({ format: FORMAT, kind: KIND, runs: items });
  checkReadable(path, () => decodeCatalogue(body, { path, level: 0, crc }));
  return { body, crc };
}

/** @throws CorruptionError, FormatVersionError */
export function decodeCatalogue(
  bytes: Uint8Array,
  { path, level, crc }: Pick<Catalogue, "path" | "level" | "crc">,
): RunInfo[] {
  const place = { path, offset: 0 };
  const { fields, crc: found } = decodeSealed(bytes, KIND, place);
  if (found !== crc) throw corrupt(`expected the catalogue ${crc}, found ${found}`, place);
  const runs = fields
    .array("runs")
    .map((run) => decodeRunInfo(new Fields(asObject(run, place), place), place, level));
  if (runs.length === 0) throw corrupt("a catalogue without runs", place);
  return runs;
}

/** What JSON of a catalogue in a manifest is made of: there may be hundreds. */
export function encodeCatalogueInfo(catalogue: Catalogue): readonly unknown[] {
  const { path, crc, level, from, to, runs, bytes, visibleBytes, records, tombstones } = catalogue;
  const { minSchema, oldestMs } = catalogue;
  const sums = [runs, bytes, visibleBytes, records, tombstones, minSchema];
  const dates = oldestMs === undefined ? [] : [oldestMs];
  return [path, crc, level, from, to, ...sums, ...dates];
}

/** @throws CorruptionError */
export function decodeCatalogueInfo(value: unknown, place: Place): Catalogue {
  const items: readonly unknown[] = Array.isArray(value) ? value : [];
  const [path, crc, level, from, to, runs, bytes, visibleBytes, records, ...others] = items;
  const [tombstones, minSchema, oldestMs] = others;
  const sums = { runs, bytes, visibleBytes, records, tombstones, minSchema, oldestMs };
  const fields = new Fields({ path, crc, level, from, to, ...sums }, place);
  const catalogue = {
    path: fields.matching("path", CATALOGUE_PATH, "a catalogue in snapshots/"),
    level: fields.integer("level"),
    crc: fields.matching("crc", CRC, "8 hex digits"),
    runs: fields.integer("runs", 1),
    bytes: fields.integer("bytes", 1),
    visibleBytes: fields.integer("visibleBytes"),
    records: fields.integer("records", 1),
    tombstones: fields.integer("tombstones"),
    from: fields.string("from"),
    to: fields.string("to"),
    minSchema: fields.integer("minSchema", 1),
    ...(oldestMs === undefined ? {} : { oldestMs: fields.integer("oldestMs") }),
  };
  if (catalogue.from >= catalogue.to) throw corrupt("a catalogue of no ids", place);
  return catalogue;
}
