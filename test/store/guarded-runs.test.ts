/** Stores whose runs hold revisions: what is there of guarded operations after a compaction. */
import { expect, onTestFinished, test } from "vitest";
import { preparePublication } from "../../src/compaction/publication.ts";
import { resolveSettings } from "../../src/core/settings.ts";
import { nextRevision, type RunEntry } from "../../src/core/version.ts";
import { createEngine, type Engine } from "../../src/engine/engine.ts";
import { allRuns, levelsOf } from "../../src/format/levels.ts";
import { runPaths } from "../../src/format/paths.ts";
import { fromSorted, mergeSorted } from "../../src/runs/merge.ts";
import { writeRun } from "../../src/runs/run-writer.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { Store } from "../../src/store/store.ts";
import { verify } from "../../src/store/verify.ts";
import { makeView } from "../../src/view/view.ts";
import { collect } from "../runs/support.ts";
import { taken } from "./streamed.ts";
import { manualRuntime } from "../support/manual-runtime.ts";

const LOCATION = "store";

class Scene {
  readonly #runtime = manualRuntime();
  readonly backend = new MemoryBackend({ runtime: this.#runtime });
  #rand = 0;

  async open(options: StoreOptions<unknown>): Promise<Store<unknown>> {
    const store = new Store<unknown>({ runtime: this.#runtime });
    await store.open(LOCATION, { backend: this.backend, ...options });
    onTestFinished(() => store.close());
    return store;
  }

  #engine(): Engine {
    return createEngine({
      backend: this.backend,
      location: LOCATION,
      runtime: this.#runtime,
      settings: resolveSettings({}),
      onWarning: (message) => expect.fail(message),
    });
  }

  /** What the runs hold. */
  async entries(): Promise<RunEntry[]> {
    const { manifests, log, runs } = this.#engine();
    const { loaded } = await makeView(manifests, log);
    return collect(mergeSorted(allRuns(loaded.manifest).map((run) => runs.open(run).scan())));
  }

  /** As a compaction publishes guarded operations: each on what the runs hold of its id. */
  async publishGuarded(change: ReadonlyMap<string, unknown>): Promise<void> {
    const { backend, manifests, log, settings } = this.#engine();
    const { loaded } = await makeView(manifests, log);
    const entries = (await this.entries())
      .filter(({ id }) => change.has(id))
      .map((entry) => {
        const value = change.get(entry.id);
        const text = value === undefined ? undefined : JSON.stringify(value);
        return { ...entry, version: nextRevision(entry.version), text };
      });
    expect(entries).toHaveLength(change.size);
    const base = loaded.manifest.generation;
    const rand = String(++this.#rand).padStart(16, "0");
    const { path, index: indexPath } = runPaths(base, rand);
    const written = await writeRun(backend, {
      path,
      indexPath,
      base,
      compression: "deflate",
      entries: fromSorted(entries),
    });
    const runs = written === undefined ? [] : [written];
    const levels = [{ runs, isDraining: false }, ...levelsOf(loaded.manifest)];
    const { dateMs } = loaded;
    const activeRecords = 0;
    const counts = { clock: 0, schema: 1, activeRecords, dateMs };
    const next = preparePublication(loaded, { ...counts, nonce: rand, levels }, settings);
    const published = await manifests.publish(loaded, next.manifest, settings.writeTimeoutMs);
    expect(published?.manifest.generation).toBe(base + 1);
  }
}

/** Three records in a run; a guarded operation on one has a lower clock than the last of them. */
async function fill(scene: Scene): Promise<Store<unknown>> {
  const writer = await scene.open({ agentId: "writer", checkpointOnClose: false });
  for (const [n, id] of ["a", "b", "c"].entries()) await writer.set(id, { n });
  await writer.compact();
  return writer;
}

const GUARDED = new Map<string, unknown>([
  ["a", { n: 10 }],
  ["b", undefined],
]);

test.each([false, true])("a follower is told of them, lazy %s", async (skipLoad) => {
  const scene = new Scene();
  await fill(scene);
  const follower = await scene.open({ readOnly: true, skipLoad });
  expect(await follower.tail()).toEqual([]);
  await scene.publishGuarded(GUARDED);
  const told = (await follower.tail()).map(({ op, id, data }) => [op, id, data]);
  expect(told).toEqual([
    ["set", "a", { n: 10 }],
    ["delete", "b", undefined],
  ]);
  await scene.publishGuarded(new Map([["a", { n: 11 }]]));
  expect((await follower.tail()).map(({ data }) => data)).toEqual([{ n: 11 }]);
  expect(await follower.tail()).toEqual([]);
});

test.each([false, true])(
  "the writer of the base sees that it was changed, lazy %s",
  async (lazy) => {
    const scene = new Scene();
    await fill(scene);
    const agent = await scene.open({ agentId: "second", skipLoad: lazy, checkpointOnClose: false });
    await agent.tail();
    await agent.set("a", { n: 1 });
    await agent.compact();
    await scene.publishGuarded(new Map([["a", { n: 10 }]]));
    expect((await agent.tail()).map(({ data }) => data)).toEqual([{ n: 10 }]);
    expect(await agent.undo(), "another has written the record since").toBe(false);
    expect(await agent.read("a")).toEqual({ n: 10 });
  },
);

test.each([false, true])("a follower that was told of the base is, too, lazy %s", async (lazy) => {
  const scene = new Scene();
  const writer = await fill(scene);
  const follower = await scene.open({ readOnly: true, skipLoad: lazy });
  await follower.tail();
  await writer.set("a", { n: 9 });
  expect((await follower.tail()).map(({ data }) => data)).toEqual([{ n: 9 }]);
  await writer.compact();
  await scene.publishGuarded(new Map([["a", { n: 10 }]]));
  expect((await follower.tail()).map(({ data }) => data)).toEqual([{ n: 10 }]);
});

test("reads, scans, streams and compactions take the highest revision", async () => {
  const scene = new Scene();
  const writer = await fill(scene);
  const streamed = await taken(writer.streamSnapshot());
  expect(streamed).toHaveLength(3);
  await scene.publishGuarded(GUARDED);
  const changes = await taken(writer.getWalOps());
  expect(changes.map(({ op, id, data }) => [op, id, data])).toEqual([
    ["set", "a", { n: 10 }],
    ["delete", "b", undefined],
  ]);
  const expected = [
    ["a", { n: 10 }],
    ["c", { n: 2 }],
  ];
  const lazy = await scene.open({ readOnly: true, skipLoad: true });
  expect([...(await lazy.readMany(["a", "b", "c"]))]).toEqual(expected);
  const scanned = await scene.open({ readOnly: true, skipLoad: true });
  expect(await taken(scanned.scan())).toEqual(expected);
  const before = await scene.entries();
  await writer.set("d", 1);
  await writer.compact();
  const after = await scene.entries();
  expect(after.map(({ id, version }) => [id, version.revision])).toEqual([
    ["a", 1],
    ["b", 1],
    ["c", undefined],
    ["d", undefined],
  ]);
  expect(after.slice(0, 2).map(({ version, text }) => ({ version, text }))).toEqual(
    before.slice(0, 2).map(({ version, text }) => ({ version, text })),
  );
  expect((await verify(LOCATION, { backend: scene.backend })).problems).toEqual([]);
});

test("an archive takes a guarded record at its revision", async () => {
  const scene = new Scene();
  const writer = await fill(scene);
  await scene.publishGuarded(new Map([["a", { n: 10 }]]));
  await writer.refresh();
  expect(await writer.archive((_, id) => id === "a", "old")).toBe(1);
  const [a] = await scene.entries();
  expect([a?.id, a?.text, a?.version.revision]).toEqual(["a", undefined, 1]);
  expect([...(await writer.loadArchive("old"))]).toEqual([["a", { n: 10 }]]);
  expect(writer.has("a")).toBe(false);
  expect((await verify(LOCATION, { backend: scene.backend })).problems).toEqual([]);
});
