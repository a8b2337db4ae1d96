/** Records of `once` that ended: merges replace them by tombstones at their own version (PROTOCOL, E7). */
import { expect, onTestFinished, test } from "vitest";
import { Deferred } from "../../src/core/deferred.ts";
import { InvalidArgumentError, OnceLostError } from "../../src/core/errors.ts";
import { isHidden } from "../../src/core/hidden.ts";
import { laneOf } from "../../src/core/lane.ts";
import { DEFAULT_SETTINGS } from "../../src/core/settings.ts";
import { keyOf, type RunEntry } from "../../src/core/version.ts";
import { createEngine } from "../../src/engine/engine.ts";
import { claimPath } from "../../src/format/paths.ts";
import { Store } from "../../src/store/store.ts";
import { claimBytes, dataClaim, guarded } from "../support/claims.ts";
import { GRACE_MS, Scene, text } from "./units-support.ts";

const HOUR_MS = 3_600_000;
const KEYS = Array.from({ length: 40 }, (_, n) => `k${String(n).padStart(2, "0")}`);
/** Several blocks and partitions of hidden ids, all of which could be copied. */
const LIMITS = {
  copiedIndexBytesMin: 1,
  layout: { blockBytesMax: 300, partitionBlocksMax: 3, partitionRecordsMax: 6 },
};

async function scene(): Promise<Scene> {
  const made = new Scene();
  await made.backend.initialize("store", { readOnly: false });
  const first = await made.open();
  await first.set("\u0000", text("below"));
  await first.set("\u0000once", text("below"));
  await first.set("\u0000once;", text("above"));
  await first.set("user", text("value"));
  await first.close();
  return made;
}

/** What the runs hold that `once` wrote. */
async function hidden({ backend, runtime }: Scene): Promise<RunEntry[]> {
  const settings = DEFAULT_SETTINGS;
  const onWarning = (message: string): void => expect.unreachable(message);
  const engine = createEngine({ backend, location: "store", runtime, settings, onWarning });
  const found: RunEntry[] = [];
  for (const run of (await backend.manifest()).runs) {
    for await (const batch of engine.runs.open(run).entries()) found.push(...batch);
  }
  return found.filter(({ id }) => isHidden(id));
}

/** Merges all levels, and purges what it may. @param steps publications at most */
async function merge(made: Scene, steps = Infinity): Promise<void> {
  await made.write([["tick", text("now")]]);
  await made.pass(LIMITS, { full: true, steps });
}

/** Merges until the runs hold a tombstone of such a record. */
async function mergeToTombstones(made: Scene): Promise<RunEntry[]> {
  for (let step = 0; step < 5; step++) {
    await merge(made, 1);
    const found = await hidden(made);
    if (found.some((entry) => entry.text === undefined)) return found;
  }
  return [];
}

const versions = (entries: readonly RunEntry[]): string[] =>
  entries.map(({ id, version }) => `${id} ${keyOf(version)}`);

test("a merge replaces what ended an hour ago, at its own version, and later drops it", async () => {
  const made = await scene();
  const store = await made.open({ agentId: "a", skipLoad: true });
  for (const key of KEYS) await store.once(key, () => key, { ttlMs: 1_000 });
  await store.once("long", () => text("long"), { ttlMs: 10 * 86_400_000 });
  await merge(made);
  const before = await hidden(made);
  expect(before).toHaveLength(KEYS.length + 1);
  expect(before.every((entry) => entry.text !== undefined)).toBe(true);

  await made.runtime.advance(HOUR_MS + 999);
  await merge(made);
  expect(await hidden(made)).toMatchObject(before.map(({ id }) => ({ id })));
  expect((await hidden(made)).every((entry) => entry.text !== undefined)).toBe(true);

  await made.runtime.advance(1_002);
  const after = await mergeToTombstones(made);
  expect(versions(after)).toEqual(versions(before));
  const left = after.filter((entry) => entry.text !== undefined);
  expect(left.map(({ id }) => id)).toEqual(["\u0000once:long"]);

  await made.runtime.advance(GRACE_MS);
  for (let pass = 0; pass < 3; pass++) await merge(made);
  expect((await hidden(made)).map(({ id }) => id)).toEqual(["\u0000once:long"]);
  const ids = (await made.contents()).map(([id]) => id);
  expect(ids).toEqual(["\u0000", "\u0000once", "\u0000once;", "tick", "user"]);
  expect(await store.once("long", () => "again")).toBe(text("long"));
  expect(await store.once("k07", () => "again")).toBe("again");
  expect(made.warnings).toEqual([]);
});

test.each(["in the log", "in a run, as a tombstone", "purged"])(
  "what ended is run again, and its result stays: %s",
  async (where) => {
    const made = await scene();
    const store = await made.open({ agentId: "a", skipLoad: true });
    const other = await made.open({ agentId: "b" });
    expect(await store.once("k", () => 1, { ttlMs: 1_000 })).toBe(1);
    expect(await other.once("k", () => 0)).toBe(1);
    await made.runtime.advance(HOUR_MS + 3_000);
    if (where !== "in the log") expect(await mergeToTombstones(made)).toHaveLength(1);
    if (where === "purged") {
      await made.runtime.advance(GRACE_MS);
      for (let pass = 0; pass < 3; pass++) await merge(made);
      expect(await hidden(made)).toEqual([]);
    }
    expect(await other.once("k", () => 2)).toBe(2);
    expect(await store.once("k", () => 3)).toBe(2);
    await merge(made);
    const reader = await made.open({ agentId: "c", skipLoad: true });
    expect(await reader.once("k", () => 4)).toBe(2);
  },
);

test("who holds a lease that ended long ago completes nothing", async () => {
  const made = await scene();
  // Its timer fires only when the function has ended: the process was frozen.
  const idle = (_ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => signal?.addEventListener("abort", () => resolve()));
  const store = new Store<string>({ runtime: { ...made.runtime, idle } });
  await store.open("store", { backend: made.backend, agentId: "a", skipLoad: true });
  onTestFinished(() => store.close());
  const [begun, ended] = [new Deferred(), new Deferred()];
  const call = store.once("k", async () => {
    begun.resolve();
    await ended.promise;
  });
  call.catch(() => undefined);
  await begun.promise;
  await made.runtime.advance(2 * HOUR_MS);
  expect(await mergeToTombstones(made)).toHaveLength(1);
  ended.resolve();
  await expect(call).rejects.toThrow(OnceLostError);
});

test("a record of the original under such an id stays, whatever it holds", async () => {
  const made = await scene();
  const id = "\u0000once:k";
  const value = JSON.stringify({ expires: 1, state: "done" });
  const base = { clock: 5, agent: "", writerNonce: "0".repeat(16) };
  const place = { lane: laneOf(id), n: 1 };
  await made.backend.put(
    claimPath(place),
    claimBytes(dataClaim(place, [guarded(id, base, value)])),
    {
      ifAbsent: true,
    },
  );
  await made.runtime.advance(2 * HOUR_MS);
  await merge(made);
  await merge(made);
  expect((await hidden(made)).map((entry) => entry.text)).toEqual([JSON.stringify(value)]);
  const store = await made.open({ agentId: "a", skipLoad: true });
  await expect(store.once("k", () => 1)).rejects.toThrow(InvalidArgumentError);
});
