/** Stores in formats of our own: of each, what was new in it. */
import { Compactor } from "../../../src/compaction/compactor.ts";
import { type CompactionLimits, DEFAULT_LIMITS } from "../../../src/compaction/plan.ts";
import type { Runtime } from "../../../src/core/runtime.ts";
import { DEFAULT_SETTINGS } from "../../../src/core/settings.ts";
import { BackendClaim } from "../../../src/engine/backend-claim.ts";
import { createEngine } from "../../../src/engine/engine.ts";
import type { StorageBackend } from "../../../src/storage/backend.ts";
import { Store } from "../../../src/store/store.ts";
import type { StoreOptions } from "../../../src/session/options.ts";

const KEEP_LOG = { checkpointOnClose: false, checkpointThreshold: 100_000 };
const BIO = "a longer text that makes a reverse patch worth its while ".repeat(3);

export interface OwnPlace {
  readonly location: string;
  readonly backend: StorageBackend;
  readonly runtime: Runtime;
}

export async function openOwn(
  { location, backend, runtime }: OwnPlace,
  options: StoreOptions<unknown>,
): Promise<Store<unknown>> {
  const store = new Store<unknown>({ runtime });
  await store.open(location, { backend, ...options });
  return store;
}

/** Small ones, so that little is merged in several units, and the last of them is not. */
const UNITS: CompactionLimits = {
  ...DEFAULT_LIMITS,
  joinBytesMax: 0,
  portionBytesMin: 1_000_000,
  unitBytesMax: 40_000,
  runBytesMax: 20_000,
};

/** As format 1, and levels of compressed runs, of which a part is merged into the oldest. */
export async function writeLevels(place: OwnPlace): Promise<void> {
  await writeOwn(place);
  await compactSteps(place, 1);
  const rows = Array.from({ length: 60 }, (_, n) => `row-${String(n).padStart(3, "0")}`);
  const store = await openOwn(place, KEEP_LOG);
  await store.batch(() => {
    for (const id of rows) void store.set(id, { id, bio: BIO.repeat(12) });
  });
  await compactSteps(place, 1);
  await store.batch(() => {
    for (const id of rows.filter((_id, n) => n % 2 === 0)) void store.set(id, { id, bio: "new" });
    for (const id of rows.filter((_id, n) => n % 7 === 0)) void store.delete(id);
  });
  // Log, then two units.
  await compactSteps(place, 3);
  await store.set("row-001", { id: "row-001", bio: "newer" });
  await compactSteps(place, 1);
  await store.batch(() => {
    void store.set("row-002", "in the log");
    void store.delete("row-003");
  });
  await store.set("row-004", null);
  await store.undo();
  await store.close();
  for (const agentId of ["agent-a", "Agent-B"]) {
    const agent = await openOwn(place, { agentId, ...KEEP_LOG, skipLoad: true });
    await agent.set("tie", { again: agentId });
    await agent.close();
  }
}

/** A pass that has time for so many publications. */
async function compactSteps({ location, backend, runtime }: OwnPlace, steps: number) {
  const claim = await BackendClaim.take(backend, location, { readOnly: false });
  const onWarning = (message: string): never => {
    throw new Error(message);
  };
  const settings = DEFAULT_SETTINGS;
  const engine = createEngine({ backend, location: claim.location, runtime, settings, onWarning });
  const publish = engine.manifests.publish.bind(engine.manifests);
  let published = 0;
  engine.manifests.publish = async (...args) => {
    const loaded = await publish(...args);
    published++;
    return loaded;
  };
  const leftMs = (): number => (published < steps ? Infinity : 0);
  await new Compactor({ ...engine, limits: UNITS }).pass({ leftMs });
  await claim.release();
}

/** Two runs with tombstones, archives, and a log of a single writer and of two agents. */
export async function writeOwn(place: OwnPlace): Promise<void> {
  const store = await openOwn(place, KEEP_LOG);
  for (let n = 1; n <= 9; n++) await store.set(`task-${n}`, { title: `Task ${n}`, bio: BIO, n });
  for (const id of ["__proto__", "größe 日本語 🎈", "a/b", "\u0000\n"]) await store.set(id, { id });
  await store.compact();
  await store.delete("task-9");
  await store.set("task-8", { title: "Task 8", bio: BIO, n: 80 });
  await store.compact();
  await store.archive((_value, id) => id === "task-1" || id === "a/b", "2025-Q4");
  await store.archive((_value, id) => id === "task-2", "2026-Q1");
  await store.archive((_value, id) => id === "task-3", "2025-Q4");
  await store.set("task-1", { title: "new after its archive" });
  await store.set("task-4", { title: "Task 4", bio: BIO, n: 40 });
  await store.delete("task-5");
  await store.batch(() => {
    void store.set("batch-1", null);
    void store.set("batch-2", [1, "two", { three: 3 }]);
  });
  await store.set("undone", 1);
  await store.undo();
  await store.close();
  const agents = ["agent-a", "Agent-B"];
  for (const agentId of agents) {
    const agent = await openOwn(place, { agentId, ...KEEP_LOG, skipLoad: true });
    await agent.set("tie", { by: agentId });
    await agent.delete(agentId === "agent-a" ? "task-6" : "task-7");
    await agent.close();
  }
}
