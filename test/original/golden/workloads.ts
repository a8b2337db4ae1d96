/** What programs do with a store of the original. */
import type { Store, StoreOptions } from "@backloghq/opslog";

export type Task = Record<string, unknown>;
export const KEEP_LOG = { checkpointOnClose: false, checkpointThreshold: 100_000 };
const BIO = "a longer text that makes a reverse patch worth its while ".repeat(3);

/** The same on both media: `openStore` opens what is there. */
export type Opens = (options: StoreOptions) => Promise<Store<Task>>;

/** What lies in a snapshot afterwards. */
export async function writeBase(openStore: Opens): Promise<void> {
  const store = await openStore({});
  for (let n = 1; n <= 6; n++) {
    await store.set(`task-${n}`, { title: `Task ${n}`, bio: BIO, n });
  }
  await store.set("task-2", { title: "Task 2", bio: BIO, n: 20, tags: ["x", { deep: true }] });
  await store.delete("task-3");
  await store.close();
}

/** Operations of every kind, which no snapshot holds. */
export async function writeLog(store: Store<Task>): Promise<void> {
  await store.set("undone", { n: 1 });
  // First: after text beyond ASCII the original's undo cuts too much off its log.
  await store.undo();
  await store.set("task-1", { title: "Task 1", bio: BIO, n: 10 }); // a delta
  await store.set("task-4", { title: "all else is gone" }); // the full record before
  await store.delete("task-5");
  await store.set("task-3", {
    title: "back again",
    none: null,
    text: "größe \u2028 \"'\\ 日本語 🎈",
  });
  await store.batch(() => {
    void store.set("batch-1", { n: 1 });
    void store.set("batch-2", { n: 2 });
    void store.delete("task-6");
  });
}

/** Three agents; two of them write one record at one clock. */
export async function writeAsAgents(openStore: Opens): Promise<void> {
  const lower = await openStore({ agentId: "agent-a", ...KEEP_LOG });
  const upper = await openStore({ agentId: "Agent-B", ...KEEP_LOG });
  await lower.set("tie", { by: "agent-a" });
  await upper.set("tie", { by: "Agent-B" });
  await lower.set("a-1", { n: 1 });
  await lower.set("a-2", { n: 2 });
  const late = await openStore({ agentId: "agent c", ...KEEP_LOG });
  await late.set("a-1", { n: 1, seenBy: "c" });
  await late.delete("a-2");
  await upper.refresh();
  await upper.set("b-1", { n: 1 });
  await upper.set("b-1", { n: 2 });
  await upper.undo();
  for (const store of [lower, upper, late]) await store.close();
}

export async function writeArchives(openStore: Opens): Promise<void> {
  const store = await openStore({});
  for (let n = 1; n <= 9; n++) await store.set(`task-${n}`, { n });
  await store.archive(({ n }) => n === 1 || n === 2, "2025-Q4");
  await store.archive(({ n }) => n === 3, "2026-Q1");
  await store.set("task-2", { n: 2, again: true });
  await store.archive(({ n }) => n === 2 || n === 4, "2025-Q4");
  await store.set("task-1", { n: 1, again: true });
  await store.close();
  const last = await openStore(KEEP_LOG);
  await last.set("task-5", { n: 55 });
  await last.close();
}
