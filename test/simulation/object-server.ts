/**
 * The simulated object store itself: strongly consistent, each request takes effect in one moment.
 * As on S3, dates are whole seconds of its own clock and an etag is a hash of the content.
 */
import { hash } from "node:crypto";
import type { GetOptions, GetResult, Precondition, PutResult } from "../../src/storage/backend.ts";
import type { Kernel } from "./kernel.ts";
import { hashText } from "./prng.ts";
import { EPOCH_MS } from "./sim-process.ts";

export interface StoredObject {
  readonly body: Uint8Array;
  readonly etag: string;
  readonly lastModifiedMs: number;
  /** Of a log file of a directory: the frames that are whole in it. */
  readonly frames?: readonly FrameBytes[];
}

export interface FrameBytes {
  readonly bytes: Uint8Array;
  /** Where in the file it ends. */
  readonly end: number;
}

/** Gives a listing its order; the lesser comes first. */
export type Rank = (path: string) => string;

/** An order that has nothing to do with names, the same for all pages of a listing. */
export function shuffledBy(salt: string): Rank {
  const ranks = new Map<string, string>();
  return (path) => {
    let rank = ranks.get(path);
    // With the path behind it no two are equal.
    if (rank === undefined) ranks.set(path, (rank = `${hashText(salt + path, 1)} ${path}`));
    return rank;
  };
}

export function byName(path: string): string {
  return path;
}

/** Told of each change in the moment it happens. */
export interface ServerObserver {
  onPut(path: string, object: StoredObject): void;
  onDelete(path: string, object: StoredObject): void;
}

export interface Page {
  readonly paths: readonly string[];
  readonly truncated: boolean;
}

export class ObjectServer {
  readonly objects = new Map<string, StoredObject>();
  readonly #kernel: Kernel;
  readonly #pageObjectsMax: number;
  readonly #laneWeight: number;
  readonly #observers: ServerObserver[] = [];
  /** Every create and every swap "succeeds", as on some servers that speak S3. */
  ignoresConditions = false;
  /** Changes so far: two equal counts mean that nothing changed in between. */
  changes = 0;

  /** @param laneWeight for how many objects a claim counts: seals of all lanes come at once */
  constructor(kernel: Kernel, pageObjectsMax: number, laneWeight = 1) {
    this.#kernel = kernel;
    this.#pageObjectsMax = pageObjectsMax;
    this.#laneWeight = laneWeight;
  }

  observe(observer: ServerObserver): void {
    this.#observers.push(observer);
  }

  /** `Date` of a response made now, by a front end whose clock is wrong by so much. */
  dateMs(errorMs = 0): number {
    return Math.floor((EPOCH_MS + this.#kernel.nowMs + errorMs) / 1000) * 1000;
  }

  /** As a directory tells it. */
  exactMs(): number {
    return EPOCH_MS + Math.floor(this.#kernel.nowMs);
  }

  get(path: string, options: GetOptions): GetResult {
    const dateMs = this.dateMs();
    const object = this.objects.get(path);
    if (object === undefined) return { status: "absent", dateMs };
    const { body, etag, lastModifiedMs } = object;
    if (options.ifNoneMatch === etag) return { status: "unchanged", dateMs };
    const { offset, length } = options.range ?? { offset: 0, length: body.length };
    const part = new Uint8Array(body.subarray(offset, offset + length));
    const objectBytes = body.length;
    return { status: "found", body: part, etag, objectBytes, lastModifiedMs, dateMs };
  }

  put(path: string, body: Uint8Array, precondition: Precondition): PutResult {
    const dateMs = this.dateMs();
    const current = this.objects.get(path);
    if (!this.ignoresConditions && !holds(precondition, current))
      return { status: "conflict", dateMs };
    const object = storedObject(body, dateMs);
    const { etag } = object;
    this.objects.set(path, object);
    this.changes++;
    for (const observer of this.#observers) observer.onPut(path, object);
    return { status: "written", etag, dateMs };
  }

  /** A log file as it is now. */
  place(path: string, object: StoredObject): void {
    this.objects.set(path, object);
    this.changes++;
  }

  /** A power cut took it. */
  remove(path: string): void {
    if (this.objects.delete(path)) this.changes++;
  }

  delete(path: string): void {
    const object = this.objects.get(path);
    if (object === undefined) return;
    this.objects.delete(path);
    this.changes++;
    for (const observer of this.#observers) observer.onDelete(path, object);
  }

  #weightOf(path: string): number {
    return path.includes("/lane-") ? this.#laneWeight : 1;
  }

  /** @param rank the order of this listing; a page holds what comes after `afterRank` */
  page(prefix: string, rank: Rank, afterRank: string): Page {
    const paths: string[] = [];
    for (const path of this.objects.keys()) {
      if (path.startsWith(prefix) && rank(path) > afterRank) paths.push(path);
    }
    if (paths.length > 1) paths.sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
    let weight = 0;
    const end = paths.findIndex((path) => (weight += this.#weightOf(path)) > this.#pageObjectsMax);
    return end < 0 ? { paths, truncated: false } : { paths: paths.slice(0, end), truncated: true };
  }
}

export function storedObject(body: Uint8Array, lastModifiedMs: number): StoredObject {
  return { body, etag: etagOf(body), lastModifiedMs };
}

/** Bytes are never changed: what is sent is copied first. */
const ETAGS = new WeakMap<Uint8Array, string>();

export function etagOf(body: Uint8Array): string {
  let etag = ETAGS.get(body);
  if (etag === undefined) ETAGS.set(body, (etag = `"${hash("md5", body)}"`));
  return etag;
}

/** A log file without a flush in it is no store yet, nor is a lease, nor the object of a probe. */
export function holdsNoStore(objects: ObjectServer["objects"]): boolean {
  for (const [path, { frames }] of objects) {
    if (!/\.lease|\.probe$/.test(path) && frames?.length !== 0) return false;
  }
  return true;
}

function holds(precondition: Precondition, current: StoredObject | undefined): boolean {
  if (precondition === "none") return true;
  if ("ifAbsent" in precondition) return current === undefined;
  return current?.etag === precondition.ifMatch;
}

/** Of a compactor, for all of the work or for a part. */
export function isCompactorLease(path: string): boolean {
  return /^compact[^/]*\.lease$/.test(path);
}
