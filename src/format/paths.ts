/**
 * Every object name of a store, made and parsed here only. No caller-supplied text enters a name
 * except the labels of agents and archives, which are for people.
 */
import { hashId } from "../core/hash.ts";
import { LANES } from "../core/lane.ts";
import { CLOCK_MAX } from "../core/version.ts";

/** `manifest.json`: the root, replaced only by compare-and-swap. */
export const MANIFEST_PATH = "manifest.json";
/** `compact.lease`: held by the compactor at work. */
export const COMPACT_LEASE_PATH = "compact.lease";
/** `compact-log-3-of-8.lease`: held by a compactor that works on a part, beside others. */
export function taskLeasePath(kind: "log" | "units", index: number, of: number): string {
  return `compact-${kind}-${index}-of-${of}.lease`;
}
/** `compact.start`: taken by who starts the compactor out of turn, for a time; never released. */
export const COMPACT_START_PATH = "compact.start";
/** `writer.lease`: held by the single writer where the medium has no lock of its own. */
export const WRITER_LEASE_PATH = "writer.lease";
/** `.lock`: held by the single writer of a directory. */
export const WRITER_LOCK_PATH = ".lock";
export const LOG_PREFIX = "ops/";
export const RUNS_PREFIX = "snapshots/";
export const ARCHIVE_PREFIX = "archive/";

/** `snapshots/snap-12-9f86d081884c7d65.jsonl` and `….index`, made on generation 12. */
export function runPaths(base: number, rand: string): { path: string; index: string } {
  const stem = `${RUNS_PREFIX}snap-${base}-${rand}`;
  return { path: `${stem}.jsonl`, index: `${stem}.index` };
}

/** `snapshots/snap-0-9f86d081884c7d65.retired`: names objects that are deleted later. */
export function retiredListPath(base: number, rand: string): string {
  return `${RUNS_PREFIX}snap-${base}-${rand}.retired`;
}

/** `snapshots/snap-12-9f86d081884c7d65.catalogue`: describes runs. */
export function cataloguePath(base: number, rand: string): string {
  return `${RUNS_PREFIX}snap-${base}-${rand}.catalogue`;
}

/** `snapshots/snap-12-9f86d081884c7d65.archives`: names archives. */
export function archiveListPath(base: number, rand: string): string {
  return `${RUNS_PREFIX}snap-${base}-${rand}.archives`;
}

/**
 * `snapshots/snap-12-9f86d081884c7d65.probe`: shows whether the medium honours preconditions, and is
 * deleted at once. What a crash leaves behind is collected as a run would be.
 */
export function probePath(base: number, rand: string): string {
  return `${RUNS_PREFIX}snap-${base}-${rand}.probe`;
}

/** The generation that an object in `snapshots/` was made on; undefined when its name is not ours. */
export function parseRunBase(path: string): number | undefined {
  const match =
    /^snapshots\/snap-(\d{1,16})-[0-9a-f]{16}\.(?:jsonl|index|catalogue|archives|retired|probe)$/.exec(
      path,
    );
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/**
 * Whether it is the name of a legacy log: `ops/ops-<ms>.jsonl`,
 * `ops/agent-<id>-<ms>.jsonl`, and its S3 backend `ops/wal-<ms>/batch-<ms>-<seq>.jsonl` and
 * `ops/agent-<id>-<ms>/batch-<ms>-<seq>.jsonl`. No name of ours is one.
 */
export function isLegacyLog(path: string): boolean {
  return /^ops\/(?:ops|wal|agent-.+)-\d{1,16}(?:\/batch-\d{1,16}-\d{1,16})?\.jsonl$/s.test(path);
}

/** Where a batch stands in its log: time and number; undefined when it is none. */
export function legacyBatchOrder(path: string): readonly [number, number] | undefined {
  const match = /\/batch-(\d{1,16})-(\d{1,16})\.jsonl$/.exec(path);
  return match === null ? undefined : [Number(match[1]), Number(match[2])];
}

/** `snapshots/snap-<ms>.jsonl`, `.json` in old versions; `.tmp` when its writer crashed. */
export function isLegacySnapshot(path: string): boolean {
  return /^snapshots\/snap-\d{1,16}\.jsonl?(?:\.tmp)?$/.test(path);
}

export interface ArchiveParts {
  /** What the user calls the archive. */
  readonly period: string;
  /** Generation of the manifest its writer started from. */
  readonly base: number;
  /** 16 hex digits, new for every object. */
  readonly rand: string;
}

/** `archive/archive-2026-Q4-12-9f86d081884c7d65.jsonl`; the true period is in the object. */
export function archivePath({ period, base, rand }: ArchiveParts): string {
  const label = period.replace(/[^A-Za-z0-9-]/g, "_").slice(0, 32);
  return `${ARCHIVE_PREFIX}archive-${label}-${base}-${rand}.jsonl`;
}

/** The generation an archive was made on; undefined for a legacy one, and what is not ours. */
export function parseArchiveBase(path: string): number | undefined {
  const match = /^archive\/archive-[A-Za-z0-9_-]{1,32}-(\d{1,16})-[0-9a-f]{16}\.jsonl$/.exec(path);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** What users call all objects of a period; a legacy object lies under this name. */
export function archiveName(period: string): string {
  return `${ARCHIVE_PREFIX}archive-${period}.json`;
}

export interface StreamParts {
  readonly agentId: string;
  readonly openMs: number;
  /** 16 hex digits, new for every stream. */
  readonly rand: string;
}

/** `agent-web_7-1766400000000-9f86d081884c7d65`, or `ops-…` in single-writer mode. */
export function streamName({ agentId, openMs, rand }: StreamParts): string {
  const label = agentId.replace(/[^A-Za-z0-9]/g, "_").slice(0, 32);
  return `${agentId === "" ? "ops" : `agent-${label}`}-${labelMs(openMs)}-${rand}`;
}

/** Of a clock that may be set to anything: a name with another number could not be parsed. */
function labelMs(openMs: number): number {
  const ms = Math.trunc(openMs);
  return ms >= 0 && ms < 1e16 ? ms : 0;
}

const STREAM = /^(?:agent-[A-Za-z0-9_]{1,32}|ops)-\d{1,16}-([0-9a-f]{16})$/;

/**
 * Whether a `.jsonl` under `ops/` may be of a newer version of this package, whose names hold no
 * other characters than ours and no part that begins with a dot. Else it is what people and systems
 * leave in any directory: `ops/._x.jsonl`, `ops/x (conflicted copy).jsonl`.
 */
export function isLikeLog(path: string): boolean {
  return /^ops\/[\w.\-/]+\.jsonl$/.test(path) && !path.includes("/.");
}

/**
 * Hashes of the ids of a segment, without separator as in its name, or "any" when there are more than
 * a name can hold. A text, because a set for each of many listed names takes more time than the rest.
 */
export type IdFilter = string;

export interface SegmentName {
  readonly stream: string;
  readonly n: number;
  readonly lo: number;
  readonly hi: number;
  readonly filter: IdFilter;
}

export const FILTER_IDS_MAX = 32;
const HASH_DIGITS = 6;
const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";

/** First 30 bits of the id's hash as 6 characters a-z2-7 (RFC 4648 base32, lower case). */
export function filterHash(id: string): string {
  const bits = hashId(id).readUInt32BE(0);
  let text = "";
  for (let shift = 27; shift >= 2; shift -= 5) text += BASE32[(bits >>> shift) & 31] ?? "";
  return text;
}

/** The filter as it stands in a name or header: hashes without separator, `0` for "any". */
export function encodeFilter(ids: Iterable<string>): string {
  const hashes = new Set<string>();
  for (const id of ids) {
    hashes.add(filterHash(id));
    if (hashes.size > FILTER_IDS_MAX) return "0";
  }
  return [...hashes].join("");
}

/** Undefined when `text` is no filter. */
export function decodeFilter(text: string): IdFilter | undefined {
  if (text === "0") return "any";
  return /^(?:[a-z2-7]{6}){1,32}$/.test(text) ? text : undefined;
}

/** @param filter not "any" */
export function hashesIn(filter: IdFilter): string[] {
  const count = filter.length / HASH_DIGITS;
  return Array.from({ length: count }, (_, n) =>
    filter.slice(n * HASH_DIGITS, (n + 1) * HASH_DIGITS),
  );
}

/** A hit only means "may hold it". */
export function filterAdmits(filter: IdFilter, hash: string): boolean {
  if (filter === "any") return true;
  let at = filter.indexOf(hash);
  while (at % HASH_DIGITS > 0) at = filter.indexOf(hash, at + 1);
  return at >= 0;
}

/** `ops/9/ops-1766400000000-9f86d081884c7d65/1-41-42-mfzwi4k3nzqw.jsonl` */
export function segmentPath(name: Omit<SegmentName, "filter"> & { filter: string }): string {
  const rand = STREAM.exec(name.stream)?.[1] ?? "0";
  const file = `${name.n}-${name.lo}-${name.hi}-${name.filter}.jsonl`;
  return `${LOG_PREFIX}${rand[0]}/${name.stream}/${file}`;
}

/** Shard, stream, its random part, n, lo, hi, filter. */
const SEGMENT =
  /^ops\/([0-9a-f])\/((?:agent-[A-Za-z0-9_]{1,32}|ops)-\d{1,16}-([0-9a-f]{16}))\/(\d{1,16})-(\d{1,16})-(\d{1,16})-((?:[a-z2-7]{6}){1,32}|0)\.jsonl$/;

/** Undefined when the name is not one this code writes. */
export function parseSegmentPath(path: string): SegmentName | undefined {
  const match = SEGMENT.exec(path);
  if (match === null) return;
  const [, shard, stream, rand, n, lo, hi, hashes = "0"] = match;
  if (stream === undefined || rand?.[0] !== shard || Number(n) < 1) return;
  const filter = hashes === "0" ? "any" : hashes;
  return { stream, n: Number(n), lo: Number(lo), hi: Number(hi), filter };
}

/** Whether the clocks a name or header claims can be true. */
export function clocksPlausible({ lo, hi }: { lo: number; hi: number }): boolean {
  return (
    Number.isSafeInteger(lo) && Number.isSafeInteger(hi) && lo >= 1 && lo <= hi && hi <= CLOCK_MAX
  );
}

/** `ops/ops-1766400000000-9f86d081884c7d65.1.jsonl`: file k of a stream on a directory. */
export function logFilePath(stream: string, k: number): string {
  return `${LOG_PREFIX}${stream}.${k}.jsonl`;
}

export function parseLogFilePath(path: string): { stream: string; k: number } | undefined {
  const match = /^ops\/([^/]+)\.(\d{1,9})\.jsonl$/.exec(path);
  const [, stream, k] = match ?? [];
  if (stream === undefined || !STREAM.test(stream) || Number(k) < 1) return;
  return { stream, k: Number(k) };
}

/** A number of a lane. */
export interface LanePlace {
  /** 0 to 255. */
  readonly lane: number;
  /** 1, 2, 3 … */
  readonly n: number;
}

const LANE_NUMBER_DIGITS = 12;
export const LANE_NUMBER_MAX = 10 ** LANE_NUMBER_DIGITS - 1;

/** `3f`: a lane as names and lines hold it. */
export function laneText(lane: number): string {
  return lane.toString(16).padStart(2, "0");
}

/** Undefined when the text is no lane. */
export function parseLane(text: string): number | undefined {
  return /^[0-9a-f]{2}$/.test(text) ? Number.parseInt(text, 16) : undefined;
}

/** `ops/3/lane-3f/000000000012.jsonl`: the claim with number n of a lane. */
export function claimPath({ lane, n }: LanePlace): string {
  const text = laneText(lane);
  const number = String(n).padStart(LANE_NUMBER_DIGITS, "0");
  return `${LOG_PREFIX}${text[0]}/lane-${text}/${number}.jsonl`;
}

/** Undefined when the name is not one this code writes. */
export function parseClaimPath(path: string): LanePlace | undefined {
  const [, shard, text = "", number] =
    /^ops\/([0-9a-f])\/lane-([0-9a-f]{2})\/(\d{12})\.jsonl$/.exec(path) ?? [];
  const lane = parseLane(text);
  if (lane === undefined || lane >= LANES || text[0] !== shard || Number(number) < 1) return;
  return { lane, n: Number(number) };
}

/** What the name of a transaction holds: of two, the one with the lower name is the earlier one. */
export interface TransactionName {
  /** When its first attempt began, in seconds since 1970. */
  readonly t: number;
  /** 16 hex digits: the first half of the transaction, the other new for every attempt. */
  readonly rand: string;
}

/** `ops/a/txn-001795356093-a1b2c3d4e5f60718.jsonl`: says what became of a transaction. */
export function txnPath({ t, rand }: TransactionName): string {
  return `${LOG_PREFIX}${rand[0]}/txn-${String(t).padStart(LANE_NUMBER_DIGITS, "0")}-${rand}.jsonl`;
}

/** Undefined when the name is not one this code writes. */
export function parseTxnPath(path: string): TransactionName | undefined {
  const [, shard, t, rand] =
    /^ops\/([0-9a-f])\/txn-(\d{12})-([0-9a-f]{16})\.jsonl$/.exec(path) ?? [];
  if (rand === undefined || rand[0] !== shard) return;
  return { t: Number(t), rand };
}
