/** Reads claims and transactions. Each counts only whole, and only under its own name. */
import { laneOf, LANES } from "../core/lane.ts";
import { compareText, compareVersions, nextRevision, type Version } from "../core/version.ts";
import type { Claim, GuardedOperation, GuardedWriter, Recent, Transaction } from "./claim.ts";
import {
  checkHeader,
  checkSealedLine,
  corrupt,
  Fields,
  isSealedAsOurs,
  parseObject,
  type Place,
} from "./json-line.ts";
import { LANE_NUMBER_MAX, type LanePlace, laneText, parseLane, parseTxnPath } from "./paths.ts";
import { asObject } from "./run-info-codec.ts";
import { operationOf } from "./segment-decoder.ts";
import { decodeBase } from "./version-codec.ts";

const LINE_FEED = 10;

/** A sealed line with what follows it. */
interface Opened {
  readonly kind: string;
  readonly fields: Fields;
  readonly place: Place;
  readonly body: Buffer;
  readonly bodyPlace: Place;
}

/**
 * @param named by the object's name
 * @throws CorruptionError, FormatVersionError
 */
export function decodeClaim(bytes: Uint8Array, path: string, named: LanePlace): Claim {
  const opened = open(bytes, path, ["claim", "intent", "seal"]);
  const { kind, fields, place } = opened;
  const { lane, n } = placeOf([fields.get("lane"), fields.get("n")], place);
  if (lane !== named.lane || n !== named.n) {
    throw corrupt(`expected ${describe(named)}, found ${describe({ lane, n })}`, place);
  }
  const head = { lane, n, nonce: nonceOf(opened), recent: decodeRecent(opened, n) };
  if (kind === "seal") return { kind, ...head, ...nothingFollows(opened) };
  const reads = idsIn("reads", opened, lane);
  if (kind === "claim") {
    const operations = decodeOperations(opened, (id) => laneOf(id) === lane);
    checkApart(reads, new Set(operations.map(({ operation }) => operation.id)), place);
    return { kind: "data", ...head, reads, operations };
  }
  const writes = idsIn("writes", opened, lane);
  checkApart(reads, new Set(writes), place);
  if (reads.length + writes.length === 0) throw corrupt("an intent without ids", place);
  const txn = fields.string("txn");
  if (parseTxnPath(txn) === undefined) throw corrupt('field "txn": no transaction', place);
  return { kind: "intent", ...head, txn, reads, writes, ...nothingFollows(opened) };
}

/** @throws CorruptionError, FormatVersionError */
export function decodeTransaction(bytes: Uint8Array, path: string): Transaction {
  const opened = open(bytes, path, ["commit", "abort"]);
  const { fields, place } = opened;
  const nonce = nonceOf(opened);
  if (opened.kind === "abort") return { kind: "abort", nonce, ...nothingFollows(opened) };
  const at = fields.array("at").map((item) => placeOf(Array.isArray(item) ? item : [], place));
  const lanes = new Set(at.map(({ lane }) => lane));
  if (at.some(({ lane }, index) => lane <= (at[index - 1]?.lane ?? -1))) {
    throw corrupt("lanes that do not ascend", place);
  }
  return {
    kind: "commit",
    nonce,
    at,
    operations: decodeOperations(opened, (id) => lanes.has(laneOf(id))),
  };
}

function open(bytes: Uint8Array, path: string, kinds: readonly string[]): Opened {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const place = { path, offset: 0 };
  const headEnd = buffer.indexOf(LINE_FEED);
  if (headEnd < 0) throw corrupt("no complete header line", place);
  const line = buffer.toString("utf8", 0, headEnd);
  const body = buffer.subarray(headEnd + 1);
  const header = parseObject(line, place);
  const kind = kinds.find((one) => one === header["kind"]) ?? kinds[0] ?? "";
  checkHeader(header, kind, place, () => isSealedAsOurs(line, body));
  checkSealedLine(line, place, body);
  const bodyPlace = { path, offset: headEnd + 1 };
  return { kind, fields: new Fields(header, place), place, body, bodyPlace };
}

function describe({ lane, n }: LanePlace): string {
  return `number ${n} of lane ${laneText(lane)}`;
}

function placeOf([text, n]: readonly unknown[], place: Place): LanePlace {
  const fields = new Fields({ lane: text, n }, place);
  const lane = parseLane(fields.string("lane"));
  if (lane === undefined || lane >= LANES) throw corrupt('field "lane": not a lane', place);
  return { lane, n: fields.integer("n", 1, LANE_NUMBER_MAX) };
}

function nonceOf({ fields }: Opened): string {
  return fields.matching("nonce", HEX, "16 hex digits");
}

const HEX = /^[0-9a-f]{16}$/;

function nothingFollows({ body, place }: Opened): object {
  if (body.length > 0) throw corrupt("more than one line", place);
  return {};
}

function decodeRecent({ fields, place }: Opened, n: number): Recent {
  const inner = new Fields(asObject(fields.get("recent"), place), place);
  const from = inner.integer("from", 1, n);
  const ids = new Map<string, number>();
  let last = "";
  for (const item of inner.array("ids")) {
    const [text, number] = Array.isArray(item) ? (item as readonly unknown[]) : [];
    const entry = new Fields({ hash: text, number }, place);
    const hash = entry.matching("hash", /^[a-z2-7]{6}$/, "the hash of an id");
    if (hash <= last) throw corrupt("hashes that do not ascend", place);
    ids.set(hash, entry.integer("number", from, n - 1));
    last = hash;
  }
  return { from, ids };
}

/** Ascending ids of the lane. */
function idsIn(name: string, { fields, place }: Opened, lane: number): string[] {
  let last = "";
  return fields.array(name).map((value) => {
    const id = new Fields({ [name]: value }, place).string(name);
    if (compareText(id, last) <= 0) throw corrupt(`field "${name}": ids that do not ascend`, place);
    if (laneOf(id) !== lane) throw corrupt(`field "${name}": an id of another lane`, place);
    last = id;
    return id;
  });
}

function checkApart(reads: readonly string[], writes: ReadonlySet<string>, place: Place): void {
  if (reads.some((id) => writes.has(id))) throw corrupt("an id is only read, and written", place);
}

function decodeOperations(
  { fields, body, place, bodyPlace }: Opened,
  isOurs: (id: string) => boolean,
): GuardedOperation[] {
  const count = fields.integer("count", 1);
  if (fields.integer("bytes", 1) !== body.length) {
    throw corrupt(`expected ${fields.integer("bytes")} bytes, found ${body.length}`, place);
  }
  const header = writerOf(fields);
  const operations: GuardedOperation[] = [];
  const versions = new Map<string, Version>();
  for (let start = 0; start < body.length;) {
    const end = body.indexOf(LINE_FEED, start);
    const at = { path: place.path, offset: bodyPlace.offset + start };
    if (end < 0) throw corrupt("the last line is not complete", at);
    const one = decodeGuarded(body.toString("utf8", start, end), header, at);
    const { id, base } = one.operation;
    const before = versions.get(id);
    if (!isOurs(id)) throw corrupt("an operation of another lane", at);
    if (before !== undefined && compareVersions(base, before) !== 0) {
      throw corrupt("an operation that is not on the one before it", at);
    }
    versions.set(id, nextRevision(base));
    operations.push(one);
    start = end + 1;
  }
  if (operations.length !== count) {
    throw corrupt(`expected ${count} operations, found ${operations.length}`, place);
  }
  return operations;
}

function writerOf(fields: Fields, header?: GuardedWriter): GuardedWriter {
  const of = <T>(name: string, held: T | undefined, read: () => T): T =>
    held === undefined || fields.has(name) ? read() : held;
  return {
    agent: of("agent", header?.agent, () => fields.string("agent")),
    writerNonce: of("w", header?.writerNonce, () => fields.matching("w", HEX, "16 hex digits")),
    schemaVersion: of("v", header?.schemaVersion, () => fields.integer("v", 1)),
  };
}

function decodeGuarded(line: string, header: GuardedWriter, place: Place): GuardedOperation {
  const fields = new Fields(parseObject(line, place), place);
  const writer = writerOf(fields, header);
  const isRepeated =
    (fields.has("agent") && writer.agent === header.agent) ||
    (fields.has("w") && writer.writerNonce === header.writerNonce) ||
    (fields.has("v") && writer.schemaVersion === header.schemaVersion);
  if (isRepeated) throw corrupt("the line repeats its header", place);
  if (fields.has("clock")) throw corrupt("a clock beside a base", place);
  const base = decodeBase(fields.array("base"), place);
  return { writer, operation: operationOf(fields, { clock: base.clock, base }, place) };
}
