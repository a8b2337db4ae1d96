import { expect, test } from "vitest";
import { CorruptionError } from "../../src/core/errors.ts";
import { EMPTY_MANIFEST } from "../../src/format/manifest-codec.ts";
import { archivePath, runPaths } from "../../src/format/paths.ts";
import type { StorageBackend } from "../../src/storage/backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";
import { checkManifestPresent, lacksManifest } from "../../src/view/lost-manifest.ts";
import { watchBackend } from "../store/watched-backend.ts";

const at = (base: number, digit = "0"): string => runPaths(base, digit.repeat(16)).path;

test("runs of a later generation without a manifest mean that it was lost", () => {
  expect(() => checkManifestPresent(EMPTY_MANIFEST, [at(0), at(3)])).toThrow(CorruptionError);
  expect(() => checkManifestPresent(EMPTY_MANIFEST, [at(3)])).toThrow(
    `manifest.json is missing although ${at(3)} exists: restore it`,
  );
  expect(lacksManifest(EMPTY_MANIFEST, [at(3)])).toBe(true);
  for (const listed of [[], [at(0)], ["snapshots/notes.txt"]]) {
    expect(() => checkManifestPresent(EMPTY_MANIFEST, listed)).not.toThrow();
  }
  const archive = archivePath({ period: "p", base: 3, rand: "0".repeat(16) });
  expect(() => checkManifestPresent(EMPTY_MANIFEST, [archive])).toThrow(
    `manifest.json is missing although ${archive} exists: restore it`,
  );
  expect(lacksManifest(EMPTY_MANIFEST, ["archive/archive-2026-Q1.json"])).toBe(false);
  const manifest = { ...EMPTY_MANIFEST, generation: 1 };
  expect(() => checkManifestPresent(manifest, [at(3)])).not.toThrow();
});

test("an eager store whose manifest was lost does not open, and nothing of it changes", async () => {
  const backend = new MemoryBackend();
  const store = await Store.open<number>("x", { backend, agentId: "a" });
  await store.set("k", 1);
  await store.compact();
  await store.set("k", 2);
  await store.compact();
  await store.close();
  const lost = await backend.readBlob("manifest.json");
  await backend.deleteBlob("manifest.json");

  for (const readOnly of [false, true]) {
    const options = { backend, agentId: "b", readOnly };
    await expect(Store.open("x", options)).rejects.toThrow(
      /manifest.json is missing although snap/,
    );
  }

  await backend.writeBlob("manifest.json", lost);
  const again = await Store.open<number>("x", { backend, readOnly: true });
  expect(again.get("k")).toBe(2);
  await again.close();
});

/** A store with two generations and no manifest any more; what it was. */
async function loseManifest(backend: MemoryBackend): Promise<string> {
  const store = await Store.open<number>("x", { backend, agentId: "a", skipLoad: true });
  await store.set("k", 1);
  await store.compact();
  await store.set("k", 2);
  await store.compact();
  await store.close();
  await backend.initialize("x", { readOnly: false });
  const lost = String(await backend.readBlob("manifest.json"));
  await backend.deleteBlob("manifest.json");
  return lost;
}

/** As another process sees it: nothing that was read before is warm. */
function cold(backend: MemoryBackend): StorageBackend {
  return watchBackend(backend).backend;
}

test.each([true, false])(
  "no lazy store writes where a manifest was lost (blind: %s)",
  async (blindWrites) => {
    const backend = new MemoryBackend();
    const lost = await loseManifest(backend);
    const options = { backend: cold(backend), agentId: "b", skipLoad: true, blindWrites };
    const lazy = await Store.open<number>("x", options);
    for (let attempt = 0; attempt < 2; attempt++) {
      const write = lazy.set("mine", 1);
      await expect(write).rejects.toThrow(
        /manifest.json is missing although snap.*nothing was changed/,
      );
      await expect(write).rejects.toThrow(CorruptionError);
    }
    await backend.writeBlob("manifest.json", lost);
    await lazy.set("mine", 2);
    expect(await lazy.readMany(["k", "mine"])).toEqual(
      new Map([
        ["k", 2],
        ["mine", 2],
      ]),
    );
    await lazy.close();
  },
);

test("a process that has seen a manifest writes nothing where there is none, and no run either", async () => {
  const backend = new MemoryBackend();
  const store = await Store.open<number>("x", { backend, agentId: "a" });
  await store.set("k", 1);
  await store.close();
  await backend.initialize("x", { readOnly: false });
  const lost = String(await backend.readBlob("manifest.json"));
  await backend.deleteBlob("manifest.json");
  await backend.deleteBlobDir("snapshots");
  const lazy = await Store.open<number>("x", { backend, agentId: "b", skipLoad: true });
  const gone = /is missing although this process has seen its generation/;
  await expect(lazy.set("mine", 1)).rejects.toThrow(gone);
  await lazy.close();
  await expect(Store.open<number>("x", { backend, agentId: "c" })).rejects.toThrow(gone);
  await backend.writeBlob("manifest.json", lost);
  await (await Store.open<number>("x", { backend, agentId: "b", skipLoad: true })).close();
});

test("a store that never had a manifest is listed once more before each view's first flush", async () => {
  const backend = new MemoryBackend();
  const watched = watchBackend(backend);
  const options = { backend: watched.backend, agentId: "b", skipLoad: true };
  const lazy = await Store.open<number>("x", options);
  const lists = (): number => watched.calls.filter((call) => call === "list snapshots/").length;
  expect(lists()).toBe(0);
  for (let n = 0; n < 3; n++) await lazy.set("k", n);
  expect(lists()).toBe(1);
  await lazy.refresh();
  for (let n = 0; n < 3; n++) await lazy.set("k", n);
  expect(lists()).toBe(2);
  await lazy.compact();
  for (let n = 0; n < 3; n++) await lazy.set("k", n);
  const compacted = lists();
  await lazy.refresh();
  await lazy.set("k", 7);
  expect(lists()).toBe(compacted);
  await lazy.close();
});
