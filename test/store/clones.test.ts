/** Two clones of one process (a restored snapshot of a virtual machine) with a plain store each. */
import { expect, test } from "vitest";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";
import { manualRuntime } from "../support/manual-runtime.ts";

const OPTIONS = { agentId: "cloned", skipLoad: true } as const;

async function openClones(): Promise<{
  readonly backend: MemoryBackend;
  readonly clones: readonly Store<string>[];
}> {
  const backend = new MemoryBackend();
  // The same dice and the same clock.
  const clones = [0, 1].map(() => new Store<string>({ runtime: manualRuntime() }));
  for (const clone of clones) await clone.open("clones", { ...OPTIONS, backend });
  return { backend, clones };
}

test("whose first objects differ in name: each undoes its own write, never the other's", async () => {
  const { backend, clones } = await openClones();
  const names = ["left", "right"] as const;
  for (const [at, name] of names.entries()) {
    const clone = clones[at];
    await clone?.batch(() => {
      void clone.set(name, name);
      void clone.set("x", name);
    });
  }
  const reader = await Store.open<string>("clones", { backend, readOnly: true });
  const winner = reader.get("x");
  expect(names).toContain(winner);
  const loser = clones[names.findIndex((name) => name !== winner)];
  expect([await loser?.undo(), await reader.refresh(), reader.get("x")]).toEqual([
    false,
    undefined,
    winner,
  ]);
  const other = clones[names.findIndex((name) => name === winner)];
  expect([await other?.undo(), await reader.refresh(), reader.get("x")]).toEqual([
    true,
    undefined,
    undefined,
  ]);
  for (const store of [...clones, reader]) await store.close();
});
