/** V4: work begins again under a newer manifest, and ends where none explains what is gone. */
import { expect, test } from "vitest";
import { CorruptionError, UnavailableError } from "../../src/core/errors.ts";
import { EMPTY_MANIFEST, encodeManifest } from "../../src/format/manifest-codec.ts";
import { RunGoneError } from "../../src/runs/run-gone.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { ManifestStore } from "../../src/view/manifest-store.ts";
import { followStream, followView, NOT_LISTED, type View, viewOf } from "../../src/view/view.ts";

const RUN = "snapshots/snap-0-159d44613e36cec4.jsonl";

function ref(clock: number): View["segments"][number] {
  const path = `ops/${clock}`;
  return { key: path, path, range: undefined, lo: clock, hi: clock, filter: "any", bytes: 1 };
}

interface Scene {
  readonly manifests: ManifestStore;
  readonly view: View;
  publish(): Promise<void>;
}

/** A view of two segments under generation 1. */
async function scene(): Promise<Scene> {
  const backend = new MemoryBackend();
  await backend.initialize("x", { readOnly: false });
  let generation = 0;
  const publish = async (): Promise<void> => {
    generation++;
    const manifest = { ...EMPTY_MANIFEST, generation, nonce: `${generation}` };
    await backend.writeBlob("manifest.json", encodeManifest(manifest));
  };
  await publish();
  const manifests = new ManifestStore(backend);
  const loaded = await manifests.load();
  const segments = [ref(1), ref(2)];
  const view = viewOf({ loaded, legacy: undefined }, { ...NOT_LISTED, segments });
  return { manifests, view, publish };
}

function runGone(): RunGoneError {
  return new RunGoneError(`${RUN} is gone`, { path: RUN });
}

test("work begins again without the segments that are gone", async () => {
  const { manifests, view } = await scene();
  const result = await followView(manifests, view, (attempt) => {
    const keys = attempt.view.segments.map(({ key }) => key);
    if (keys.includes("ops/1")) attempt.gone.add("ops/1");
    return Promise.resolve(keys);
  });
  expect(result).toEqual(["ops/2"]);
});

test("a stream goes on under the manifest that replaced a run", async () => {
  const { manifests, view, publish } = await scene();
  const generations: number[] = [];
  const stream = followStream(manifests, view, async function* (attempt) {
    const { generation } = attempt.view.loaded.manifest;
    yield generation;
    if (generation > 1) return;
    await publish();
    throw runGone();
  });
  for await (const generation of stream) generations.push(generation);
  expect(generations).toEqual([1, 2]);
});

test("a run that the current manifest names must be there", async () => {
  const { manifests, view } = await scene();
  const work = followView(manifests, view, () => Promise.reject(runGone()));
  await expect(work).rejects.toThrow(CorruptionError);
  await expect(work).rejects.toThrow(`the manifest names ${RUN}, which is not there`);
});

test("other errors end the work, also beside segments that are gone", async () => {
  const { manifests, view } = await scene();
  const failure = new UnavailableError("busy");
  const work = followView(manifests, view, ({ gone }) => {
    gone.add("ops/1");
    return Promise.reject(failure);
  });
  await expect(work).rejects.toBe(failure);
});

test("where compactions never cease, the reader gives up and may be called again", async () => {
  const { manifests, view, publish } = await scene();
  let attempts = 0;
  const work = followView(manifests, view, async () => {
    attempts++;
    await publish();
    throw runGone();
  });
  await expect(work).rejects.toThrow(UnavailableError);
  await expect(work).rejects.toThrow("snapshots and log changed 50 times");
  expect(attempts).toBe(50);
});
