import { expect, test } from "vitest";
import { CorruptionError } from "../../src/core/errors.ts";
import { EMPTY_MANIFEST } from "../../src/format/manifest-codec.ts";
import { archivePath, runPaths } from "../../src/format/paths.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";
import { checkManifestPresent, lacksManifest } from "../../src/view/lost-manifest.ts";

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
