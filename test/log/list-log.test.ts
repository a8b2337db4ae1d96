import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseSegmentPath, segmentPath } from "../../src/format/paths.ts";
import { listLog } from "../../src/log/list-log.ts";
import type { ListOptions, ListPage } from "../../src/storage/backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Prng } from "../simulation/prng.ts";
import { SEED } from "./support.ts";

const DIGITS = "0123456789abcdef".split("");

/** Lists names that were never written; requests that are sent at once are answered at once. */
class Names extends MemoryBackend {
  readonly pageNames: number;
  override readonly listsInOrder: boolean;
  names: readonly string[];
  /** Pages requested at once, trip by trip. */
  readonly trips: number[] = [];
  #trip: Promise<void> | undefined;

  constructor(names: readonly string[], pageNames = 1_000, listsInOrder = true) {
    super();
    this.names = listsInOrder ? names.toSorted() : names;
    this.pageNames = pageNames;
    this.listsInOrder = listsInOrder;
  }

  get lists(): number {
    return this.trips.reduce((sum, requests) => sum + requests, 0);
  }

  override async *list(prefix: string, { after = "" }: ListOptions = {}): AsyncGenerator<ListPage> {
    const names = this.names.filter((name) => name.startsWith(prefix) && name > after);
    for (let start = 0; ; start += this.pageNames) {
      await this.#travel();
      const page = names.slice(start, start + this.pageNames);
      const objects = page.map((path) => ({ path, bytes: 1, lastModifiedMs: 0 }));
      const truncated = start + page.length < names.length;
      yield { objects, truncated, dateMs: this.trips.length };
      if (!truncated) return;
    }
  }

  #travel(): Promise<void> {
    this.#trip ??= new Promise((arrive) => {
      this.trips.push(0);
      setImmediate(() => {
        this.#trip = undefined;
        arrive();
      });
    });
    this.trips.push((this.trips.pop() ?? 0) + 1);
    return this.#trip;
  }
}

function segment(shard: string, stream: number, n: number): string {
  const rand = shard + stream.toString(16).padStart(15, "0");
  return segmentPath({ stream: `agent-a-1-${rand}`, n, lo: n, hi: n, filter: "0" });
}

/** Segments of streams whose shards are drawn. */
function segments(count: number, streams: number): string[] {
  const prng = new Prng(`${count} ${streams}`);
  const shards = Array.from({ length: streams }, () => prng.pick(DIGITS));
  return Array.from({ length: count }, (_, n) => {
    const stream = prng.below(streams);
    return segment(shards[stream] ?? "0", stream, n + 1);
  });
}

async function listed(backend: MemoryBackend): Promise<string[]> {
  const paths: string[] = [];
  for await (const { objects } of listLog(backend)) paths.push(...objects.map(({ path }) => path));
  return paths;
}

describe("a log of 2,000 streams", () => {
  test.each([
    { count: 0, lists: 1, trips: 1 },
    { count: 1_000, lists: 1, trips: 1 },
    { count: 1_001, lists: 2, trips: 2 },
    { count: 2_500, lists: 3, trips: 2 },
    { count: 3_000, lists: 4, trips: 3 },
    { count: 6_000, lists: 7, trips: 4 },
    { count: 60_000, lists: 69, trips: 10 },
  ])("and $count segments takes $lists LISTs in $trips trips at most", async (at) => {
    const backend = new Names(segments(at.count, 2_000));
    expect((await listed(backend)).toSorted()).toEqual(backend.names);
    expect(backend.lists).toBeLessThanOrEqual(at.lists);
    expect(backend.trips.length).toBeLessThanOrEqual(at.trips);
  });

  test("and 200,000 segments is soon listed in 16 parts at once", async () => {
    const backend = new Names(segments(200_000, 2_000));
    expect((await listed(backend)).length).toBe(200_000);
    expect(backend.lists).toBeLessThanOrEqual(216);
    expect(backend.trips.length).toBeLessThanOrEqual(22);
    expect(Math.max(...backend.trips.slice(0, 5))).toBeGreaterThanOrEqual(15);
  });
});

test("a single stream is listed page by page, with few LISTs besides", async () => {
  for (const shard of DIGITS) {
    const names = Array.from({ length: 5_500 }, (_, n) => segment(shard, 1, n + 1));
    const backend = new Names(names);
    expect((await listed(backend)).length).toBe(5_500);
    expect(backend.lists).toBeLessThanOrEqual(12);
    expect(backend.trips.length).toBe(6);
  }
});

test("names that lie between shards are passed over", async () => {
  const foreign = Array.from({ length: 20_000 }, (_, n) => `ops/agent-x-1/batch-1-${n}.jsonl`);
  const backend = new Names([...foreign, ...segments(500, 20)]);
  const found = await listed(backend);
  expect(found.filter((path) => parseSegmentPath(path) !== undefined)).toHaveLength(500);
  expect(backend.lists).toBe(2);
});

const NAMES = fc.uniqueArray(
  fc.oneof(
    fc
      .tuple(fc.constantFrom(...DIGITS), fc.nat(3), fc.integer({ min: 1, max: 40 }))
      .map(([shard, stream, n]) => segment(shard, stream, n)),
    fc.constantFrom("ops/", "ops/0/", "ops/7", "ops/70.jsonl", "ops/agent-b-1.jsonl", "ops/\u00e9"),
    fc.nat(30).map((n) => `ops/agent-b-1/batch-1-${n}.jsonl`),
  ),
  { maxLength: 200 },
);

test("whatever is there, each segment is listed once, also where `after` is ignored", async () => {
  class Ignoring extends Names {
    override list(prefix: string): AsyncGenerator<ListPage> {
      return super.list(prefix);
    }
  }
  await fc.assert(
    fc.asyncProperty(
      NAMES,
      fc.integer({ min: 1, max: 30 }),
      fc.constantFrom("in order", "in no order", "ignores"),
      async (names, pageNames, kind) => {
        const Made = kind === "ignores" ? Ignoring : Names;
        const backend = new Made(names, pageNames, kind !== "in no order");
        const found = (await listed(backend)).filter((path) => parseSegmentPath(path));
        const expected = names.filter((path) => parseSegmentPath(path));
        expect(found.toSorted()).toEqual(expected.toSorted());
      },
    ),
    { seed: SEED, numRuns: 500 },
  );
});

test("a first page that is in no order after all is answered by shards", async () => {
  const backend = new Names(segments(3_000, 50));
  backend.names = backend.names.toReversed();
  const found = (await listed(backend)).toSorted();
  expect(found).toEqual(backend.names.toSorted());
  expect(backend.lists).toBeGreaterThanOrEqual(17);
});

test("a listing that ends early awaits what it has requested, and requests no more", async () => {
  const backend = new Names(segments(60_000, 2_000));
  const pages: ListPage[] = [];
  for await (const page of listLog(backend)) if (pages.push(page) === 4) break;
  const { lists } = backend;
  expect(lists).toBeLessThan(20);
  await new Promise((next) => setTimeout(next, 5));
  expect(backend.lists).toBe(lists);
});

test("the first page is the first one, whose date is that of the listing", async () => {
  const dates: number[] = [];
  for await (const { dateMs } of listLog(new Names(segments(9_000, 100)))) dates.push(dateMs);
  expect(dates[0]).toBe(1);
  expect(Math.min(...dates.slice(1))).toBeGreaterThan(1);
});
