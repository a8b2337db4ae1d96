/**
 * LATE among processes that know nothing of each other's settings, with dates that are right to
 * within a minute, and whatever their own clocks say: what is acknowledged is there for every reader.
 */
import { expect, test } from "vitest";
import type { Runtime } from "../../src/core/runtime.ts";
import type { SettingOptions } from "../../src/core/settings.ts";
import { CostMeter } from "../../src/core/cost-meter.ts";
import { WriteOutcomeUnknownError } from "../../src/core/errors.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { compactMetered } from "../../src/compaction/compact.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { Store } from "../../src/store/store.ts";
import { manualRuntime } from "../support/manual-runtime.ts";
import { watchBackend } from "./watched-backend.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Clocks that stand still let a store take its look for a fresh one. */
type ProcessClocks = "frozen" | { readonly wallErrorMs: number };

/** A store in memory whose server answers with dates of its own. */
class Place {
  readonly runtime = manualRuntime();
  /** Of whichever server answers now. */
  skewMs = 0;
  /** Done once, when the store of "writer" is about to send a flush. */
  beforeNextFlush: (() => Promise<void>) | undefined;
  readonly #open: Store<unknown>[] = [];
  readonly #backend = new MemoryBackend({
    runtime: { ...this.runtime, nowMs: () => this.runtime.nowMs() + this.skewMs },
  });

  async open(
    agentId: string,
    options: StoreOptions<unknown> = {},
    clocks: ProcessClocks = { wallErrorMs: 0 },
  ): Promise<Store<unknown>> {
    const store = new Store<unknown>({ runtime: this.#runtimeWith(clocks) });
    // As another process: it knows nothing of the clocks that the others give meanwhile.
    const watched = watchBackend(this.#backend);
    const { backend } = watched;
    if (agentId === "writer") {
      watched.delay = async () => {
        const before = this.beforeNextFlush;
        this.beforeNextFlush = undefined;
        await before?.();
      };
    }
    const lazy = { skipLoad: true, blindWrites: true, segmentGraceMs: 0 };
    await store.open("s", { backend, agentId, ...lazy, ...options });
    this.#open.push(store);
    return store;
  }

  #runtimeWith(clocks: ProcessClocks): Runtime {
    const { runtime } = this;
    if (clocks === "frozen") {
      const fixedMs = runtime.nowMs();
      const stopped = (): number => fixedMs;
      return { ...runtime, nowMs: stopped, wallMs: stopped, steadyMs: stopped };
    }
    const wallMs = (): number => runtime.nowMs() + clocks.wallErrorMs;
    return { ...runtime, nowMs: wallMs, wallMs };
  }

  async compact(settings: SettingOptions): Promise<void> {
    const options = { backend: this.#backend, full: true, segmentGraceMs: 0, ...settings };
    await compactMetered("s", options, new CostMeter(), { runtime: this.runtime });
  }

  async floor(): Promise<number> {
    const found = await this.#backend.get("manifest.json");
    if (found.status !== "found") throw new Error("no manifest");
    return JSON.parse(Buffer.from(found.body).toString()).purgeFloor;
  }

  async read(id: string): Promise<unknown> {
    const reader = await this.open("reader", { readOnly: true });
    return reader.read(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const store of this.#open) await store.close();
  }
}

/** Whether it counts; false when its outcome is not known. */
function acknowledged(write: Promise<void>): Promise<boolean> {
  return write.then(
    () => true,
    (error: unknown) => {
      if (error instanceof WriteOutcomeUnknownError) return false;
      throw error;
    },
  );
}

/** Others write and delete, so that there is something to purge. */
async function deleteSome(other: Store<unknown>, round: string): Promise<void> {
  for (let n = 0; n < 5; n++) await other.set(`${round}${n}`, n);
  await other.delete(`${round}0`);
}

const SETS = [
  { name: "at once", hasty: { tombstoneGraceMs: 0, writerLagMs: 0 }, waitMs: 1_000 },
  {
    name: "after two hours",
    hasty: { tombstoneGraceMs: 2 * HOUR_MS, writerLagMs: HOUR_MS },
    waitMs: 3 * HOUR_MS,
  },
];
const PATIENT = {
  tombstoneGraceMs: 24 * HOUR_MS,
  writerLagMs: 12 * HOUR_MS,
  refreshEveryMs: 24 * HOUR_MS,
};

test.each(SETS)("a process that purges $name loses nobody's write", async ({ hasty, waitMs }) => {
  for (const isFounded of [true, false]) {
    await using place = new Place();
    const other = await place.open("other");
    await deleteSome(other, "a");
    // Without a manifest the writer's view knows of no promise.
    if (isFounded) await place.compact(PATIENT);
    const writer = await place.open("writer", PATIENT);
    // Its clocks are taken; then it stands still until what it writes is sent.
    place.beforeNextFlush = async () => {
      await deleteSome(other, "b");
      await place.compact(hasty);
      await place.runtime.advance(waitMs);
      await deleteSome(other, "c");
      await place.compact(hasty);
    };
    const isAcknowledged = await acknowledged(writer.set("mine", "acknowledged"));
    expect(isAcknowledged, `founded: ${isFounded}`).toBe(isFounded || waitMs < MINUTE_MS);
    for (let pass = 0; pass < (isAcknowledged ? 2 : 0); pass++) {
      expect(await place.read("mine"), `founded: ${isFounded}`).toBe("acknowledged");
      await place.compact(hasty);
    }
  }
});

test("a write that comes too late does not count where clocks are ahead of time: dates decide", async () => {
  await using place = new Place();
  const ahead = await place.open("ahead", {}, { wallErrorMs: 30 * HOUR_MS });
  await deleteSome(ahead, "a");
  await place.compact(PATIENT);
  // That the store is dragged is no news here.
  const onWarning = (): void => undefined;
  const other = await place.open("other", { onWarning });
  const writer = await place.open("writer", { ...PATIENT, onWarning });
  // Its clock, above those that are ahead, is still to come when what it writes is sent.
  place.beforeNextFlush = async () => {
    await deleteSome(other, "b");
    await place.compact(PATIENT);
    await place.runtime.advance(25 * HOUR_MS);
    await deleteSome(other, "c");
    await place.compact(PATIENT);
  };
  const isAcknowledged = await acknowledged(writer.set("mine", 1));
  // The purge ignores it: whoever acknowledged it has lost it.
  expect({ isAcknowledged, mine: await place.read("mine") }).toEqual({
    isAcknowledged: false,
    mine: undefined,
  });
});

test("a write in time counts however low its clock: a purge ignores no more than was merged", async () => {
  await using place = new Place();
  const other = await place.open("other");
  await deleteSome(other, "a");
  await place.compact(PATIENT);
  await place.runtime.advance(48 * HOUR_MS);
  // It has no time and counts on from the manifest, two days below the others.
  const year1970 = { wallErrorMs: -place.runtime.nowMs() };
  const writer = await place.open("writer", PATIENT, year1970);
  place.beforeNextFlush = async () => {
    await deleteSome(other, "b");
    await place.compact(PATIENT);
  };
  const isAcknowledged = await acknowledged(writer.set("mine", 1));
  expect(await place.floor(), "purged").toBeGreaterThan(0);
  expect({ isAcknowledged, mine: await place.read("mine") }).toEqual({
    isAcknowledged: true,
    mine: 1,
  });
});

test("the longest tombstone grace that any process was given counts, and is never shortened", async () => {
  await using place = new Place();
  const hasty = { tombstoneGraceMs: 0, writerLagMs: 0 };
  const other = await place.open("other");
  await deleteSome(other, "a");
  await place.compact({ tombstoneGraceMs: HOUR_MS, writerLagMs: MINUTE_MS });
  await place.runtime.advance(HOUR_MS - 1);
  await other.set("b", 1);
  await place.compact(hasty);
  expect(await place.floor(), "an hour was promised").toBe(0);
  await place.runtime.advance(1);
  await other.set("c", 1);
  await place.compact(hasty);
  expect(await place.floor()).toBeGreaterThan(0);
});

test("what is promised bounds how late a write may come, also where its process allows more", async () => {
  await using place = new Place();
  const other = await place.open("other");
  await other.set("a", 1);
  await place.compact({ tombstoneGraceMs: 10 * MINUTE_MS, writerLagMs: MINUTE_MS });
  const writer = await place.open("writer", PATIENT);
  // 10 minutes, less a minute for each of four dates; past half of it a writer looks again.
  await place.runtime.advance(2 * MINUTE_MS);
  const late = writer.set("late", 1);
  place.skewMs = 4 * MINUTE_MS;
  await expect(late).rejects.toThrow("ms after this store last looked, at most 359999 ms count");
});

/** All dates are right to within a minute, and as wrong as that allows: in whichever way harms most. */
const GAPS_MS = Array.from({ length: 28 }, (_, n) => (60 + 5 * n) * 1_000);

test.each(GAPS_MS)(
  "dates that are a minute off lose nothing, %i ms after a look",
  async (gapMs) => {
    await using place = new Place();
    const settings = { tombstoneGraceMs: 2 * MINUTE_MS, writerLagMs: MINUTE_MS };
    const options = { ...settings, refreshEveryMs: HOUR_MS };
    const other = await place.open("other", options);
    await other.set("a", 1);
    await place.compact(settings);
    place.skewMs = MINUTE_MS;
    const writer = await place.open("writer", options, "frozen");
    place.skewMs = -MINUTE_MS;
    await deleteSome(other, "b");
    await place.compact(settings);
    place.skewMs = MINUTE_MS;
    const third = await place.open("third", options);
    await place.runtime.advance(gapMs);
    await third.set("d", 1);
    await place.compact(settings);
    place.skewMs = -MINUTE_MS;
    const isAcknowledged = await acknowledged(writer.set("mine", 1));
    place.skewMs = 0;
    // A minute of lag, and a minute too early and too late: whatever counts lies within three.
    expect(isAcknowledged).toBe(gapMs <= 3 * MINUTE_MS);
    if (isAcknowledged) expect(await place.read("mine")).toBe(1);
  },
);
