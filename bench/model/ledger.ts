/** Counts what the model's compactor does, and what it costs. */
import { type Cost, DEFAULT_PRICES, priceOf, type RequestKind } from "../../src/core/cost.ts";
import { COMPRESSION, LAMBDA } from "./assumptions.ts";

const MIB = 1024 * 1024;
/** `partBytes` of the S3 backend: larger objects are uploads in parts. */
const PART_BYTES = 8 * MIB;
/** Keys of a page of a LIST, and of a request that deletes. */
const PAGE_KEYS = 1_000;
/** Of a listing that is divided, on average. */
const PAGE_KEYS_DIVIDED = 900;
const GB = 1e9;

export class Ledger {
  readonly requests: Record<RequestKind, number> = { get: 0, head: 0, put: 0, list: 0, delete: 0 };
  /** Of log that was merged, and of runs that were written. */
  logBytes = 0;
  runBytes = 0;
  segments = 0;
  steps = 0;
  units = 0;
  /** Merges with the log that were given up because they were too slow. */
  restarts = 0;
  /** Publications that were tried again because another was faster, and steps that were lost for it. */
  conflicts = 0;
  lost = 0;
  /** Segments that two workers merged. */
  repeated = 0;
  invocations = 0;
  busyMs = 0;

  /** A long listing is divided behind each page (`list-log.ts`). @returns how many pages follow each other */
  list(keys: number): number {
    const pages = keys <= PAGE_KEYS ? 1 : Math.ceil(keys / PAGE_KEYS_DIVIDED);
    this.requests.list += pages;
    return 1 + Math.ceil(Math.log2(pages));
  }

  /** Runs and their indexes. @param bytes of lines */
  wroteRuns(bytes: number, runs: number): void {
    const parts = Math.ceil(bytes / COMPRESSION / Math.max(1, runs) / PART_BYTES);
    this.requests.put += runs * (parts <= 1 ? 2 : parts + 3);
    this.requests.head += parts <= 1 ? 0 : runs;
    this.runBytes += bytes;
  }

  /** Spans of runs that are read one after the other, and parts of their indexes. @param bytes of lines */
  readRuns(bytes: number, levels: number): void {
    const spanBytes = Math.min(4 * MIB, Math.max(MIB / 8, (16 * MIB) / Math.max(1, levels)));
    this.requests.get += levels === 0 ? 0 : levels + Math.ceil(bytes / COMPRESSION / spanBytes);
    this.requests.get += Math.ceil(bytes / (16 * MIB));
  }

  deleted(objects: number): void {
    this.requests.delete += Math.ceil(objects / PAGE_KEYS);
  }

  /** How many times a byte of log was written to runs. */
  get amplification(): number {
    return this.logBytes === 0 ? 0 : this.runBytes / this.logBytes;
  }

  get requestsPerGb(): number {
    const all = Object.values(this.requests).reduce((sum, count) => sum + count, 0);
    return (all / this.logBytes) * GB;
  }

  get requestUsdPerGb(): number {
    const cost: Pick<Cost, "requests" | "bytesIn"> = { requests: this.requests, bytesIn: 0 };
    return (priceOf(cost, DEFAULT_PRICES) / this.logBytes) * GB;
  }

  get functionUsdPerGb(): number {
    const seconds = this.busyMs / 1_000;
    const usd =
      seconds * LAMBDA.memoryGb * LAMBDA.usdPerGbSecond +
      this.invocations * LAMBDA.usdPerInvocation;
    return (usd / this.logBytes) * GB;
  }
}
