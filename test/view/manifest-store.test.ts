import { describe, expect, test } from "vitest";
import {
  CorruptionError,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "../../src/core/errors.ts";
import { EMPTY_MANIFEST, encodeManifest, type Manifest } from "../../src/format/manifest-codec.ts";
import type { GetOptions, GetResult, Precondition, PutResult } from "../../src/storage/backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { ManifestStore } from "../../src/view/manifest-store.ts";
import { manualRuntime } from "../support/manual-runtime.ts";

class ScriptedBackend extends MemoryBackend {
  readonly asked: (string | undefined)[] = [];
  onPut: (land: () => Promise<PutResult>) => Promise<PutResult> = (land) => land();

  override get(path: string, options: GetOptions = {}): Promise<GetResult> {
    this.asked.push(options.ifNoneMatch);
    return super.get(path, options);
  }

  override put(path: string, body: Uint8Array, precondition: Precondition): Promise<PutResult> {
    return this.onPut(() => super.put(path, body, precondition));
  }
}

async function scene(): Promise<{ backend: ScriptedBackend; manifests: ManifestStore }> {
  const backend = new ScriptedBackend({ runtime: manualRuntime(5_000) });
  await backend.initialize("x", { readOnly: false });
  return { backend, manifests: new ManifestStore(backend) };
}

function next(before: Manifest, nonce: string): Manifest {
  const lineage = [before.nonce, ...before.lineage].filter((one) => one !== "");
  return { ...before, generation: before.generation + 1, nonce, lineage };
}

describe("load", () => {
  test("an absent manifest is the empty one", async () => {
    const { manifests } = await scene();
    const loaded = await manifests.load();
    expect(loaded).toEqual({
      manifest: EMPTY_MANIFEST,
      etag: undefined,
      lastModifiedMs: undefined,
      dateMs: 5_000,
    });
    expect(await manifests.load(loaded)).toEqual(loaded);
  });

  test("an unchanged manifest costs no body and is as new as the answer", async () => {
    const { backend, manifests } = await scene();
    const published = await manifests.publish(await manifests.load(), next(EMPTY_MANIFEST, "a"), 1);
    const again = await manifests.load(published);
    expect(again).toEqual(published);
    expect(backend.asked.at(-1)).toBe(published?.etag);
    expect(again.manifest).toBe(published?.manifest);
  });

  test("a manifest that was there and is gone is damage", async () => {
    const { backend, manifests } = await scene();
    const published = await manifests.publish(await manifests.load(), next(EMPTY_MANIFEST, "a"), 1);
    await backend.deleteBlob("manifest.json");
    await expect(manifests.load(published)).rejects.toThrow(CorruptionError);
    await expect(manifests.load(published)).rejects.toThrow("manifest.json was there and is gone");
  });
});

describe("publish", () => {
  test("replaces exactly what it started from; of two one wins", async () => {
    const { manifests } = await scene();
    const start = await manifests.load();
    const results = await Promise.all(
      ["a", "b", "c"].map((nonce) => manifests.publish(start, next(EMPTY_MANIFEST, nonce), 1)),
    );
    expect(results.filter((result) => result !== undefined)).toHaveLength(1);
    const current = await manifests.load();
    expect(current.manifest).toMatchObject({ generation: 1, nonce: "a" });
    const second = await manifests.publish(current, next(current.manifest, "d"), 1);
    expect(second?.manifest).toMatchObject({ generation: 2, lineage: ["a"] });
    expect(await manifests.publish(current, next(current.manifest, "e"), 1)).toBeUndefined();
    expect((await manifests.load()).manifest.nonce).toBe("d");
  });

  test("that landed although its answer was lost counts, also when it was replaced since", async () => {
    const { backend, manifests } = await scene();
    const start = await manifests.load();
    const others = new ManifestStore(backend);
    backend.onPut = async (land) => {
      await land();
      backend.onPut = (ordinary) => ordinary();
      const ours = await others.load();
      await others.publish(ours, next(ours.manifest, "theirs"), 1);
      throw new WriteOutcomeUnknownError("the answer was lost");
    };
    const published = await manifests.publish(start, next(EMPTY_MANIFEST, "ours"), 1);
    expect(published?.manifest).toMatchObject({
      generation: 2,
      nonce: "theirs",
      lineage: ["ours"],
    });
  });

  test("that was answered with a conflict by its own earlier attempt counts", async () => {
    const { backend, manifests } = await scene();
    backend.onPut = async (land) => {
      await land();
      return { status: "conflict", dateMs: 1 };
    };
    const published = await manifests.publish(await manifests.load(), next(EMPTY_MANIFEST, "a"), 1);
    expect(published?.manifest.nonce).toBe("a");
  });

  test("that did not land does not count, however it was answered", async () => {
    const { backend, manifests } = await scene();
    const start = await manifests.load();
    backend.onPut = () => Promise.resolve({ status: "written", etag: "x", dateMs: 1 });
    expect(await manifests.publish(start, next(EMPTY_MANIFEST, "a"), 1)).toBeUndefined();
    backend.onPut = () => Promise.reject(new WriteOutcomeUnknownError("lost"));
    expect(await manifests.publish(start, next(EMPTY_MANIFEST, "a"), 1)).toBeUndefined();
    backend.onPut = () => Promise.reject(new UnavailableError("down"));
    await expect(manifests.publish(start, next(EMPTY_MANIFEST, "a"), 1)).rejects.toThrow(
      UnavailableError,
    );
  });
});

test("what lies there is checked", async () => {
  const { backend, manifests } = await scene();
  await backend.writeBlob("manifest.json", encodeManifest(next(EMPTY_MANIFEST, "a")).subarray(3));
  await expect(manifests.load()).rejects.toThrow(CorruptionError);
});
