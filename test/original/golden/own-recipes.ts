/** Stores in the format that this version writes. */
import type { Runtime } from "../../../src/core/runtime.ts";
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
