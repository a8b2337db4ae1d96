/**
 * The power of a disk is cut after every single call that changes it, while writers and a compactor
 * are at work. What it may hold afterwards is drawn by seed; whoever opens the store then finds
 * everything acknowledged, whole batches, and goes on. SEED repeats a run.
 */
import { describe, expect, test } from "vitest";
import { CorruptionError, StoreNotFoundError } from "../../src/core/errors.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { Store } from "../../src/store/store.ts";
import { callsOf } from "../processes/journal-file.ts";
import type { JournalLine } from "../processes/journal-file.ts";
import { findViolations } from "../processes/journal.ts";
import type { JournaledCall } from "../processes/journal.ts";
import { dice, runSeed } from "../processes/random.ts";
import type { Dice } from "../processes/random.ts";
import { JournalingWriter } from "../processes/writer.ts";
import type { CallPlan } from "../processes/writer.ts";
import { sampled } from "../support/effort.ts";
import { sync, writeTo } from "./disk-nodes.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { afterPowerCut } from "./power-cut.ts";
import { virtualRuntime, type VirtualRuntime } from "./virtual-runtime.ts";

const LOCATION = "/disk/store";
const SETTINGS = { leaseTtlMs: 300, gcGraceMs: 0, segmentGraceMs: 0 };
const IDS_PER_WRITER = 6;
const CALLS = 14;
/** Of the states after a cut: those in which somebody goes on writing and compacts. */
const CONTINUED = 0.15;
/** Of the steps they make: those after which the power is cut again. */
const CUT_AGAIN = 0.1;

interface Writer {
  readonly plan: CallPlan;
  readonly options: StoreOptions;
}

/** What may be found after a cut, and what was known of the writers then. */
interface State {
  readonly step: string;
  readonly disk: MemoryDisk;
  readonly journals: readonly (readonly JournalLine[])[];
}

function writersOf(seed: number): readonly Writer[] {
  const plans: readonly [StoreOptions, CallPlan["calls"], CallPlan["writeMode"]?][] = [
    [{ checkpointThreshold: 7 }, "any"],
    [{ agentId: "a", skipLoad: true }, "batch"],
    [{ agentId: "b", checkpointThreshold: 9 }, "delete"],
  ];
  const grouping: StoreOptions = { writeMode: "group", groupCommitSize: 4, groupCommitMs: 5 };
  const all = seed % 2 === 0 ? plans : [[grouping, "any", "group"] as const, ...plans.slice(1)];
  return all.map(([options, calls, writeMode], at) => ({
    options: { ...SETTINGS, ...options },
    plan: { calls, writeMode, incarnation: 1, seed: seed + at, ids: idsOf(at) },
  }));
}

function idsOf(writer: number): string[] {
  return Array.from({ length: IDS_PER_WRITER }, (_, at) => `writer-${writer}-id-${at}`);
}

class PowerCuts {
  readonly states: State[] = [];
  readonly #runtime: VirtualRuntime;
  readonly #fsync: boolean;
  readonly #writers: readonly Writer[];
  readonly warnings: string[] = [];

  constructor(seed: number, fsync: boolean) {
    this.#runtime = virtualRuntime(seed);
    this.#fsync = fsync;
    this.#writers = writersOf(seed);
  }

  /** Writers side by side, twice over the same records, with a state for every step. */
  async work(seed: number): Promise<void> {
    const disk = new MemoryDisk({ nowMs: this.#runtime.nowMs });
    const chance = dice(seed);
    await disk.mkdir("/disk", { recursive: true });
    sync(disk.root);
    const journals = this.#writers.map((): JournalLine[] => []);
    disk.onStep = (step) => {
      const known = journals.map((lines) => [...lines]);
      this.states.push({ step, disk: afterPowerCut(disk, chance), journals: known });
    };
    await Promise.all(
      this.#writers.map(async ({ plan, options }, at) => {
        const store = await this.open(disk, options);
        await store.readMany(plan.ids);
        const journal = { append: (line: JournalLine) => void journals[at]?.push(line) };
        const writer = new JournalingWriter(store, plan, journal);
        for (let call = 0; call < CALLS; call++) await writer.call();
        await store.close();
      }),
    );
  }

  async open(disk: MemoryDisk, options: StoreOptions): Promise<Store> {
    const backend = new FsBackend({ files: disk, fsync: this.#fsync, runtime: this.#runtime });
    const store = new Store({ runtime: this.#runtime });
    const onWarning = (message: string): void => void this.warnings.push(message);
    await store.open(LOCATION, { backend, onWarning, ...options });
    return store;
  }

  async read(disk: MemoryDisk, skipLoad: boolean): Promise<Map<string, string>> {
    try {
      const store = await this.open(disk, { readOnly: true, skipLoad });
      const ids = this.#writers.flatMap(({ plan }) => plan.ids);
      const found = skipLoad ? await store.readMany(ids) : new Map(store.entries());
      await store.close();
      return new Map([...found].map(([id, value]) => [id, String(value["tag"])]));
    } catch (error) {
      if (error instanceof StoreNotFoundError) return new Map();
      throw error;
    }
  }

  /** @param mayMiss whether an acknowledged call may be missing */
  violations({ journals }: State, shown: ReadonlyMap<string, string>, mayMiss = false): string[] {
    return this.#writers.flatMap(({ plan }, at) => {
      const calls = callsOf(journals[at] ?? [], plan.incarnation);
      const unknown = calls.map((call): JournaledCall => ({ ...call, outcome: "unknown" }));
      const own = new Map([...shown].filter(([id]) => plan.ids.includes(id)));
      return findViolations(mayMiss ? unknown : calls, own, { mayLandLate: false });
    });
  }

  /**
   * The next single writer takes over, an agent writes, everything is compacted; and the power is
   * cut once more while they are at it.
   */
  async goOn(state: State, chance: Dice): Promise<void> {
    const { disk } = state;
    const again: State[] = [];
    disk.onStep = (step) => {
      if (!chance.chance(CUT_AGAIN)) return;
      const [then, journals] = [`${state.step}, then ${step}`, state.journals];
      again.push({ step: then, disk: afterPowerCut(disk, chance), journals });
    };
    this.#runtime.pass(SETTINGS.leaseTtlMs * 2);
    restart(disk);
    const single = await this.open(disk, { ...SETTINGS, checkpointThreshold: 1_000 });
    const agent = await this.open(disk, { ...SETTINGS, agentId: "later", skipLoad: true });
    await single.set("later", { tag: "single" });
    await agent.set("later", { tag: "agent" });
    await single.compact();
    await Promise.all([single.close(), agent.close()]);
    expect((await this.read(disk, false)).get("later")).toBe("agent");
    for (const cut of [state, ...again]) {
      for (const skipLoad of [false, true]) {
        const shown = await this.read(cut.disk, skipLoad);
        expect(this.violations(cut, shown), `later, after ${cut.step}`).toEqual([]);
      }
    }
  }
}

/** A lock of before the cut names a process of another boot, and was silent meanwhile. */
function restart(disk: MemoryDisk): void {
  const lock = disk.nodeAt(`${LOCATION}/.lock`);
  if (lock?.kind !== "file") return;
  const text = Buffer.from(lock.content).toString("utf8");
  lock.mtimeNs -= 3_600_000_000_000n;
  lock.content = new Uint8Array();
  writeTo(lock, Buffer.from(text.replace(/"bootId":"./, '"bootId":"_')));
}

describe("a power cut after every step of writers and compactors", () => {
  const first = runSeed();
  test.each([first, first + 1, first + 2])(
    "with fsync loses nothing acknowledged and tears no batch (seed %i)",
    { timeout: 120_000 },
    async (seed) => {
      const run = new PowerCuts(seed, true);
      await run.work(seed);
      const chance = dice(seed);
      for (const state of sampled(run.states, 4, seed)) {
        const where = `seed ${seed}, after ${state.step}`;
        const shown = await run.read(state.disk, chance.chance(0.5));
        expect(run.violations(state, shown), where).toEqual([]);
        if (chance.chance(CONTINUED)) await run.goOn(state, chance);
        expect(run.warnings, where).toEqual([]);
      }
      console.log(`seed ${seed}: ${run.states.length} power cuts`);
      expect(run.states.length).toBeGreaterThan(200);
      const published = run.states.filter(({ step }) => /^link .*manifests/.test(step));
      expect(published.length).toBeGreaterThan(1);
    },
  );

  test(
    `without fsync may lose what was acknowledged, but shows nothing torn or made up (seed ${first})`,
    { timeout: 120_000 },
    async () => {
      const run = new PowerCuts(first, false);
      await run.work(first);
      const [lossy, damaged]: [Set<string>, Set<string>] = [new Set(), new Set()];
      for (const state of run.states) {
        const shown = await run.read(state.disk, false).catch((error: unknown) => {
          expect(error, `after ${state.step}`).toBeInstanceOf(CorruptionError);
          damaged.add(state.step);
        });
        if (shown === undefined) continue;
        expect(run.violations(state, shown, true), `after ${state.step}`).toEqual([]);
        if (run.violations(state, shown).length > 0) lossy.add(state.step);
      }
      console.log(
        `seed ${first}, without fsync: of ${run.states.length} power cuts ${lossy.size} lost ` +
          `something, ${damaged.size} left a store that says it is damaged`,
      );
      // What fsync is for; and that these tests would notice a sync that is missing.
      expect(lossy.size).toBeGreaterThan(10);
    },
  );
});

test("a directory that its maker left unsynced is safe once a store has been opened in it", async () => {
  const runtime = virtualRuntime(1);
  const disk = new MemoryDisk({ nowMs: runtime.nowMs });
  await disk.mkdir("/disk", { recursive: true });
  sync(disk.root);
  await disk.mkdir(LOCATION);
  const store = new Store({ runtime });
  await store.open(LOCATION, { backend: new FsBackend({ files: disk, runtime }), agentId: "a" });
  await store.set("a", { tag: "there" });
  const nothingKept = { below: () => 0, chance: () => false, pick: () => [] };
  const after = afterPowerCut(disk, nothingKept);
  const reader = new Store({ runtime });
  await reader.open(LOCATION, {
    backend: new FsBackend({ files: after, runtime }),
    readOnly: true,
  });
  expect(reader.entries()).toEqual([["a", { tag: "there" }]]);
  await Promise.all([store.close(), reader.close()]);
});
