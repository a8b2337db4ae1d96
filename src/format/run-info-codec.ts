/** How the manifest, and catalogues, write down a run (FORMAT, "Runs of a manifest"). */
import { corrupt, Fields, type Place } from "./json-line.ts";
import type { IdSpan, IndexPartition, RunInfo } from "./run-info.ts";
import { decodeSeparator, encodeSeparator } from "./run-index.ts";

/** A run in the manifest names its level, one in a catalogue does not. */
type Encoded = Omit<RunInfo, "level"> & { readonly level: number | undefined };

/** What JSON of a run is made of. */
export function encodeRunInfo({ partitions, excised = [], ...run }: Encoded): object {
  return {
    ...run,
    excised: excised.length === 0 ? undefined : excised.map(({ from, to }) => [from, to ?? null]),
    partitions: partitions.map((part, at) => encodePartition(part, partitions[at - 1])),
  };
}

/** @param defaultLevel of a run that does not name its level @throws CorruptionError */
export function decodeRunInfo(fields: Fields, place: Place, defaultLevel: number): RunInfo {
  const partitions: IndexPartition[] = [];
  for (const part of fields.array("partitions")) {
    partitions.push(decodePartition(part, partitions.at(-1)?.separator ?? "", place));
  }
  if (partitions.length === 0) throw corrupt("a run without index partitions", place);
  return {
    path: fields.matching("path", RUN_PATH, "a path in snapshots/"),
    index: fields.matching("index", RUN_PATH, "a path in snapshots/"),
    bytes: fields.integer("bytes", 1),
    ...(fields.has("rawBytes") ? { rawBytes: fields.integer("rawBytes", 1) } : {}),
    records: fields.integer("records", 1),
    tombstones: fields.integer("tombstones"),
    minId: fields.string("minId"),
    maxId: fields.string("maxId"),
    // Manifests of before it was counted lack it: any of its records may be that old.
    minSchema: fields.has("minSchema") ? fields.integer("minSchema", 1) : 1,
    sha256: fields.matching("sha256", SHA256, "64 hex digits"),
    partitions,
    level: fields.has("level") ? fields.integer("level") : defaultLevel,
    ...(fields.has("since") ? { since: fields.integer("since", 1) } : {}),
    ...(fields.has("oldestMs") ? { oldestMs: fields.integer("oldestMs") } : {}),
    ...(fields.has("excised") ? { excised: decodeSpans(fields.array("excised"), place) } : {}),
  };
}

/** @throws CorruptionError unless they ascend and are apart, and none of them is empty */
function decodeSpans(items: readonly unknown[], place: Place): IdSpan[] {
  const spans: IdSpan[] = [];
  for (const item of items) {
    const [from, to]: readonly unknown[] = Array.isArray(item) ? item : [];
    const fields = new Fields({ from, to }, place);
    const span = { from: fields.string("from"), to: to === null ? undefined : fields.string("to") };
    const before = spans.at(-1);
    const isAbove = before === undefined || (before.to !== undefined && before.to < span.from);
    if (!isAbove || (span.to !== undefined && span.to <= span.from)) {
      throw corrupt("excised spans must ascend and be apart", place);
    }
    spans.push(span);
  }
  if (spans.length === 0) throw corrupt("no excised spans", place);
  return spans;
}

export const SHA256 = /^[0-9a-f]{64}$/;
export const CRC = /^[0-9a-f]{8}$/;
const RUN_PATH = /^snapshots\/[A-Za-z0-9-]+\.(?:jsonl|index)$/;

function encodePartition(part: IndexPartition, before?: IndexPartition): readonly unknown[] {
  const { separator, offset, length, dataOffset, crc } = part;
  const numbers = [offset, length, dataOffset];
  const item = [...encodeSeparator(separator, before?.separator ?? ""), ...numbers];
  return crc === undefined ? item : [...item, crc];
}

function decodePartition(value: unknown, before: string, place: Place): IndexPartition {
  const { separator, values } = decodeSeparator(value, before, place);
  const [offset, length, dataOffset, crc] = values;
  const fields = new Fields({ offset, length, dataOffset, crc }, place);
  return {
    separator,
    offset: fields.integer("offset"),
    length: fields.integer("length", 1),
    dataOffset: fields.integer("dataOffset"),
    // Manifests of before it was noted lack it.
    ...(crc === undefined ? {} : { crc: fields.matching("crc", CRC, "8 hex digits") }),
  };
}

/** @throws CorruptionError unless it is one */
export function asObject(value: unknown, place: Place): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw corrupt(`expected an object, found ${typeof value}`, place);
}
