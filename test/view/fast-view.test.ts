/** FAST-VIEW: one look at the manifest is enough where the medium's dates say so, and only there. */
import { expect, test } from "vitest";
import { EMPTY_MANIFEST, encodeManifest, type Manifest } from "../../src/format/manifest-codec.ts";
import { encodeRetiredList } from "../../src/format/retired-list.ts";
import type { Log, LogRef } from "../../src/log/log.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { ManifestStore } from "../../src/view/manifest-store.ts";
import { sortListing, summarize } from "../../src/view/live-segments.ts";
import { makeView, settleView, viewOf } from "../../src/view/view.ts";
import { manualRuntime } from "../support/manual-runtime.ts";
import { watchBackend } from "../store/watched-backend.ts";

const GRACE = 60_000;
const LIST = "snapshots/snap-0-0123456789abcdef.retired";

function ref(lo: number, hi = lo): LogRef {
  const path = `ops/${lo}-${hi}`;
  return { key: path, path, range: undefined, lo, hi, filter: "any", bytes: 1 };
}

function manifestOf(change: Partial<Manifest>): Manifest {
  return { ...EMPTY_MANIFEST, generation: 1, nonce: "n", segmentGraceMs: GRACE, ...change };
}

function listing(refs: readonly LogRef[], manifest = manifestOf({})): Manifest {
  const segments = summarize(refs);
  return { ...manifest, retired: [...manifest.retired, { path: LIST, list: true, segments }] };
}

/** A view of a log whose last page is dated `elapsedMs` after the manifest; how often it looked. */
async function looks(manifest: Manifest | undefined, elapsedMs: number): Promise<number> {
  const runtime = manualRuntime(1_000_000);
  const watched = watchBackend(new MemoryBackend({ runtime }));
  await watched.backend.initialize("x", { readOnly: false });
  if (manifest !== undefined) {
    await watched.backend.writeBlob("manifest.json", encodeManifest(manifest));
  }
  const lastDateMs = 1_000_000 + elapsedMs;
  const unused = (): never => {
    throw new Error("a view only lists");
  };
  const log: Log = {
    list: async () => ({
      segments: [],
      corrupt: [],
      writtenMs: () => new Map(),
      firstDateMs: lastDateMs,
      lastDateMs,
    }),
    read: unused,
    createWriter: unused,
    offer: unused,
    pages: unused,
    deleteUnits: unused,
  };
  await makeView(new ManifestStore(watched.backend), log);
  return watched.calls.filter((call) => call === "get manifest.json").length;
}

test.each([
  [0, 1],
  [GRACE / 4, 1],
  [GRACE / 4 + 1, 2],
  [GRACE, 2],
  // Seconds are counted from full to full; more than that means that clocks disagree.
  [-1_000, 1],
  [-1_001, 2],
])("a listing dated %i ms after the manifest: %i looks", async (elapsedMs, expected) => {
  expect(await looks(manifestOf({}), elapsedMs)).toBe(expected);
});

test("the window is the manifest's own: none promised, or no manifest, is two looks", async () => {
  expect(await looks(manifestOf({ segmentGraceMs: 0 }), 0)).toBe(2);
  expect(await looks(undefined, 0)).toBe(2);
  expect(await looks(manifestOf({ segmentGraceMs: 4_000 }), 1_000)).toBe(1);
  expect(await looks(manifestOf({ segmentGraceMs: 4_000 }), 1_001)).toBe(2);
  // Too short for dates of whole seconds.
  expect(await looks(manifestOf({ segmentGraceMs: 3_999 }), 0)).toBe(2);
});

test("a listing of nothing but published segments is recognised without their list", () => {
  const [a, b, later] = [ref(1, 2), ref(2), ref(3)];
  const manifest = listing([a, b]);
  expect(sortListing(manifest, [b, a])).toEqual({
    live: [],
    ignored: [],
    published: [b.key, a.key],
    unread: [],
  });
  expect(sortListing(manifest, [later, b, a]).live).toEqual([later]);
  const [c, d] = [ref(4), ref(5)];
  const both = listing([c, d], manifest);
  expect(sortListing(both, [a, b, c, d]).live).toEqual([]);
  expect(sortListing(EMPTY_MANIFEST, [a])).toEqual({
    live: [a],
    ignored: [],
    published: [],
    unread: [],
  });
});

test("a late segment, or one that is gone already, counts until the list is read", async () => {
  const [a, b, late, later] = [ref(2), ref(3), ref(1), ref(9)];
  const manifest = listing([a, b]);
  const sorted = sortListing(manifest, [a, b, late, later]);
  expect(sorted).toEqual({ live: [a, b, late, later], ignored: [], published: [], unread: [LIST] });
  expect(sortListing(manifest, [a]).unread).toEqual([LIST]);
  // As many, but not the same.
  expect(sortListing(manifest, [a, late]).unread).toEqual([LIST]);

  const backend = new MemoryBackend();
  await backend.initialize("x", { readOnly: false });
  const manifests = new ManifestStore(backend);
  const loaded = { manifest, etag: "e", lastModifiedMs: 1, dateMs: 1 };
  const view = viewOf(
    { loaded, legacy: undefined },
    { segments: [a, b, late, later], corrupt: [] },
  );
  // Gone, or damaged: everything goes on counting, which does no harm.
  expect((await settleView(manifests, view)).segments).toEqual(sorted.live);
  await backend.writeBlob(LIST, "damaged");
  const unsettled = await settleView(manifests, view);
  expect(unsettled.segments).toEqual(sorted.live);
  expect(unsettled.corrupt).toMatchObject([{ path: LIST }]);
  await backend.writeBlob(LIST, encodeRetiredList([a.path, b.path]));
  const settled = await settleView(manifests, view);
  expect(settled.segments).toEqual([late, later]);
  expect(settled).toMatchObject({ published: [a.key, b.key], unreadLists: [], corrupt: [] });
});
