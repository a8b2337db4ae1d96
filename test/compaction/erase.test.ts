/** Bytes of what was deleted or replaced go within a bounded time, also where nothing is written. */
import { expect, test } from "vitest";
import { Compactor } from "../../src/compaction/compactor.ts";
import { DEFAULT_LIMITS } from "../../src/compaction/plan.ts";
import type { CompactionReport } from "../../src/compaction/report.ts";
import { DEFAULT_SETTINGS } from "../../src/core/settings.ts";
import { createEngine } from "../../src/engine/engine.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";
import { manualRuntime } from "../support/manual-runtime.ts";

const SECRET = "the text of a record that is deleted";
const ERASE_MS = 1_000_000;

async function holdsSecret(backend: MemoryBackend): Promise<boolean> {
  for (const prefix of ["snapshots/", "ops/"]) {
    for await (const { objects } of backend.list(prefix)) {
      const bodies = await Promise.all(objects.map(({ path }) => backend.readBlob(path)));
      if (bodies.some((body) => body.includes(SECRET))) return true;
    }
  }
  return false;
}

test("levels are merged into the oldest from half of the time on, by passes without log", async () => {
  const runtime = manualRuntime();
  const backend = new MemoryBackend({ runtime });
  await backend.initialize("store", { readOnly: false });
  const graces = { segmentGraceMs: 0, gcGraceMs: 0, eraseAfterMs: ERASE_MS };
  const onWarning = (message: string): never => {
    throw new Error(message);
  };
  const pass = async (): Promise<CompactionReport> => {
    const settings = { ...DEFAULT_SETTINGS, ...graces };
    const given = { backend, location: "store", runtime, settings, onWarning };
    const engine = createEngine({ ...given, compression: "none" });
    const limits = { ...DEFAULT_LIMITS, portionBytesMin: 1 };
    return (await new Compactor({ ...engine, limits }).pass()).report;
  };
  const writer = await Store.open<string>("store", { backend, agentId: "w", skipLoad: true });
  await writer.batch(() => {
    for (let n = 0; n < 500; n++) void writer.set(`r${n}`, "x".repeat(200));
    void writer.set("secret", SECRET);
  });
  expect(await pass()).toMatchObject({ levels: 1 });
  await writer.delete("secret");
  expect(await pass()).toMatchObject({ levels: 2 });
  await runtime.advance(ERASE_MS / 2 - 10_000);
  while ((await pass()).outcome !== "idle");
  expect(await holdsSecret(backend), "in the oldest level").toBe(true);
  await runtime.advance(20_000);
  expect(await pass()).toMatchObject({ outcome: "published", segments: 0, levels: 1 });
  await runtime.advance(1_000);
  expect(await pass()).toMatchObject({ outcome: "published", runsMerged: 0 });
  expect(await holdsSecret(backend)).toBe(false);
  expect(await pass()).toMatchObject({ outcome: "idle" });
  await using reader = await Store.open<string>("store", { backend, readOnly: true });
  expect([reader.count(), reader.get("secret")]).toEqual([500, undefined]);
});
