/** VIEW: the manifest is not older than the listing. */
import { expect, test } from "vitest";
import { CorruptionError } from "../../src/core/errors.ts";
import { EMPTY_MANIFEST, encodeManifest } from "../../src/format/manifest-codec.ts";
import type { Log, LogListing, LogRef } from "../../src/log/log.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { ManifestStore } from "../../src/view/manifest-store.ts";
import { makeView, renewView } from "../../src/view/view.ts";

function ref(lo: number, hi = lo): LogRef {
  const path = `ops/${lo}-${hi}`;
  return { key: path, path, range: undefined, lo, hi, filter: "any", bytes: 1 };
}

interface Scene {
  readonly backend: MemoryBackend;
  readonly manifests: ManifestStore;
  publish(generation: number, change?: { clock?: number; purgeFloor?: number }): Promise<void>;
}

async function scene(): Promise<Scene> {
  const backend = new MemoryBackend();
  await backend.initialize("x", { readOnly: false });
  return {
    backend,
    manifests: new ManifestStore(backend),
    publish: async (generation, change) => {
      const bytes = encodeManifest({
        ...EMPTY_MANIFEST,
        generation,
        nonce: `${generation}`,
        ...change,
      });
      await backend.writeBlob("manifest.json", bytes);
    },
  };
}

/** Only what a view needs of a log. */
function listing(list: () => Promise<Partial<LogListing>>): Log {
  const unused = (): never => {
    throw new Error("a view only lists");
  };
  return {
    list: async () => ({
      segments: [],
      corrupt: [],
      writtenMs: () => new Map(),
      firstDateMs: 1,
      lastDateMs: 1,
      ...(await list()),
    }),
    read: unused,
    createWriter: unused,
    offer: unused,
    pages: unused,
    deleteUnits: unused,
  };
}

test("the manifest is looked at again after the listing, which is not repeated", async () => {
  const { manifests, publish } = await scene();
  await publish(1);
  let lists = 0;
  const log = listing(async () => {
    lists++;
    await publish(2, { clock: 9 });
    return { segments: [ref(3)] };
  });
  const view = await makeView(manifests, log);
  expect([view.loaded.manifest.generation, lists]).toEqual([2, 1]);
  expect(view.segments).toEqual([ref(3)]);
});

test("a segment that begins at or below the purge floor is ignored whole", async () => {
  const { manifests, publish } = await scene();
  await publish(1, { clock: 4, purgeFloor: 5 });
  const segments = [ref(5), ref(5, 9), ref(6), ref(1, 20)];
  const view = await makeView(
    manifests,
    listing(() => Promise.resolve({ segments })),
  );
  expect(view.segments).toEqual([ref(6)]);
  expect(view.clock, "clocks of ignored segments count all the same").toBe(20);
});

test("the clock is the highest of the manifest and of all that is listed", async () => {
  const { manifests, publish } = await scene();
  const log = listing(() => Promise.resolve({ segments: [ref(2, 7), ref(3)] }));
  expect((await makeView(manifests, log)).clock).toBe(7);
  await publish(1, { clock: 30 });
  expect((await makeView(manifests, log)).clock).toBe(30);
});

test("what is corrupt is passed on", async () => {
  const { manifests } = await scene();
  const corrupt = [new CorruptionError("ops/x")];
  const view = await makeView(
    manifests,
    listing(() => Promise.resolve({ corrupt })),
  );
  expect(view.corrupt).toBe(corrupt);
});

test("renewed: the same listing without what is gone, under the manifest of now", async () => {
  const { manifests, publish } = await scene();
  const segments = [ref(1), ref(2), ref(8, 9)];
  const view = await makeView(
    manifests,
    listing(() => Promise.resolve({ segments })),
  );
  await publish(1, { clock: 2, purgeFloor: 1 });
  const renewed = await renewView(manifests, view, new Set([ref(8, 9).key]));
  expect(renewed.loaded.manifest.generation).toBe(1);
  expect(renewed.segments).toEqual([ref(2)]);
  expect(renewed.clock, "the clock never goes back").toBe(9);
});

test("a listing that fails is no view", async () => {
  const { manifests } = await scene();
  const log = listing(() => Promise.reject(new CorruptionError("ops/x")));
  await expect(makeView(manifests, log)).rejects.toThrow("ops/x");
});
