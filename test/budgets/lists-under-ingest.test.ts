/**
 * What an opening lists while others write and compactions keep up: real code over memory, with a
 * clock that only this file moves. Budgets are promises to users: raising one is a decision.
 */
import { describe, expect, test } from "vitest";
import { compactMetered } from "../../src/compaction/compact.ts";
import { resolvePrices } from "../../src/core/cost.ts";
import { CostMeter } from "../../src/core/cost-meter.ts";
import { encodeFilter, segmentPath, streamName } from "../../src/format/paths.ts";
import type { GetOptions, GetResult, ListOptions, ListPage } from "../../src/storage/backend.ts";
import { BaseBackend } from "../../src/storage/base-backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";
import { encoded } from "../log/support.ts";
import { Prng } from "../simulation/prng.ts";
import { type ManualRuntime, manualRuntime } from "../support/manual-runtime.ts";

const EVERY_MS = 5_000;
const GRACE_MS = 5_000;
/** From the look of a pass to its publication. */
const PASS_MS = 1_000;

/** What one cold process sees of a store: its requests are answered together, trip by trip. */
class Reader extends BaseBackend {
  readonly #memory: MemoryBackend;
  readonly listsInOrder = true;
  lists = 0;
  trips = 0;
  #trip: Promise<void> | undefined;

  constructor(memory: MemoryBackend) {
    super();
    this.#memory = memory;
  }

  override async initialize(): Promise<void> {}
  override async shutdown(): Promise<void> {}
  override put = (): Promise<never> => Promise.reject(new Error("reads only"));
  override delete = this.put;

  override async get(path: string, options?: GetOptions): Promise<GetResult> {
    await this.#travel();
    return this.#memory.get(path, options);
  }

  override async *list(prefix: string, options?: ListOptions): AsyncGenerator<ListPage> {
    const pages = this.#memory.list(prefix, options);
    for (;;) {
      this.lists++;
      await this.#travel();
      const { done, value } = await pages.next();
      if (done === true) return;
      yield value;
      if (!value.truncated) return;
    }
  }

  #travel(): Promise<void> {
    this.#trip ??= new Promise((arrive) => {
      setImmediate(() => {
        this.trips++;
        this.#trip = undefined;
        arrive();
      });
    });
    return this.#trip;
  }
}

/** Memory that takes its time for runs, while `meanwhile` goes on. */
class Compacted extends MemoryBackend {
  meanwhile: (() => Promise<void>) | undefined;

  override async put(...args: Parameters<MemoryBackend["put"]>): ReturnType<MemoryBackend["put"]> {
    const { meanwhile } = this;
    if (meanwhile !== undefined && args[0].startsWith("snapshots/")) {
      this.meanwhile = undefined;
      await meanwhile();
    }
    return super.put(...args);
  }
}

class Ingest {
  readonly runtime: ManualRuntime = manualRuntime();
  readonly backend = new Compacted({ runtime: this.runtime });
  readonly opened: { readonly lists: number; readonly trips: number }[] = [];
  readonly #prng = new Prng("ingest");
  readonly #streams: string[];
  #n = 0;

  constructor(streams: number) {
    this.#streams = Array.from({ length: streams }, () => {
      const digits = Array.from({ length: 16 }, () => this.#prng.below(16).toString(16));
      return streamName({ agentId: "a", openMs: this.runtime.nowMs(), rand: digits.join("") });
    });
  }

  /** Writes for so long, and opens twice a second. */
  async write(perSecond: number, forMs: number): Promise<void> {
    for (let ms = 0; ms < forMs; ms += 500) {
      for (let flush = 0; flush < perSecond / 2; flush++) await this.#flush();
      await this.runtime.advance(500);
      await this.#open();
    }
  }

  async #flush(): Promise<void> {
    const n = ++this.#n;
    const [id, lo] = [`r${n % 5_000}`, Math.floor(this.runtime.nowMs() * 1_024) + n];
    const stream = this.#prng.pick(this.#streams);
    const path = segmentPath({ stream, n, lo, hi: lo, filter: encodeFilter([id]) });
    await MemoryBackend.prototype.put.call(this.backend, path, encoded([id], lo, { n }).bytes, {
      ifAbsent: true,
    });
  }

  async #open(): Promise<void> {
    const reader = new Reader(this.backend);
    await using store = await Store.open("store", {
      backend: reader,
      readOnly: true,
      skipLoad: true,
      onBacklog: () => {},
    });
    const { trips } = reader;
    await store.read(`r${this.#n % 5_000}`);
    this.opened.push({ lists: reader.lists, trips });
  }

  async pass(perSecond: number): Promise<void> {
    this.backend.meanwhile = () => this.write(perSecond, PASS_MS);
    const meter = new CostMeter(resolvePrices(undefined));
    const options = { backend: this.backend, segmentGraceMs: GRACE_MS };
    const { outcome } = await compactMetered("store", options, meter, { runtime: this.runtime });
    expect(outcome).toBe("published");
  }
}

describe.each([
  { perSecond: 1, lists: 1, trips: 1 },
  { perSecond: 10, lists: 1, trips: 1 },
  { perSecond: 100, lists: 4, trips: 2 },
  { perSecond: 500, lists: 8, trips: 4 },
])("at $perSecond flushes a second, compacted every 5 s with 5 s of grace,", (at) => {
  test.each([{ streams: 25 }, { streams: 2_000 }])(
    "a cold lazy open and read of a log of $streams streams takes few LISTs",
    async ({ streams }) => {
      const ingest = new Ingest(streams);
      await ingest.backend.initialize("store", { readOnly: false });
      for (let pass = 0; pass < 5; pass++) {
        if (pass === 3) ingest.opened.length = 0;
        await ingest.write(at.perSecond, EVERY_MS - (pass === 0 ? 0 : PASS_MS));
        await ingest.pass(at.perSecond);
      }
      const lists = ingest.opened.map((one) => one.lists);
      const trips = ingest.opened.map((one) => one.trips);
      expect(Math.max(...lists)).toBeLessThanOrEqual(at.lists);
      expect(Math.max(...trips)).toBeLessThanOrEqual(at.trips);
    },
  );
});
