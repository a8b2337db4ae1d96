/** The single writer's lock outlives a killed process no longer than it must. */
import { expect, test } from "vitest";
import { LockedError } from "../../src/core/errors.ts";
import { Store } from "../../src/store/store.ts";
import { backendFor } from "./medium.ts";
import type { Medium } from "./medium.ts";
import { bundleWorkerProgram } from "./worker-process.ts";
import type { Settings } from "./worker.ts";
import { openPatiently } from "./writer.ts";

/** For the lease on S3; a directory's lock ends with its process. */
const SETTINGS: Settings = { leaseTtlMs: 1_000 };

export interface LockSuiteOptions {
  readonly openMedium: () => Promise<Medium>;
  /** Whether a dead holder is known to be dead at once, so that nobody waits for its lock. */
  readonly endsWithProcess: boolean;
}

export function lockSuite({ openMedium, endsWithProcess }: LockSuiteOptions): void {
  test("the lock keeps a second writer out until its holder is killed, and then lets it in", async () => {
    await using medium = await openMedium();
    await using program = await bundleWorkerProgram();
    const { location } = medium;
    const open = async (): Promise<Store> =>
      Store.open(location, { ...SETTINGS, backend: await backendFor(location) });

    const holder = program.start({ kind: "hold", location, settings: SETTINGS });
    expect(await holder.answer()).toEqual({ ready: true });
    holder.go();
    expect(await holder.answer()).toEqual({ held: true });
    await expect(open()).rejects.toThrow(LockedError);

    expect((await holder.kill()).code).toBeNull();
    const killedMs = performance.now();
    await using store = await (endsWithProcess ? open() : openPatiently(location, SETTINGS, {}));
    console.log(`open again ${(performance.now() - killedMs).toFixed(0)} ms after the kill`);
    expect(store.has("held")).toBe(true);
    await store.set("after", {});
    await expect(open()).rejects.toThrow(LockedError);
  });

  test("a frozen holder keeps its lock, or finds at its next write that it lost it", async () => {
    await using medium = await openMedium();
    await using program = await bundleWorkerProgram();
    const { location } = medium;
    const holder = program.start({ kind: "hold", location, settings: SETTINGS });
    await holder.answer();
    holder.go();
    await holder.answer();
    holder.go();
    expect(await holder.answer()).toEqual({ acknowledged: "written 1" });
    holder.freeze();
    const open = async (): Promise<Store> =>
      Store.open(location, { ...SETTINGS, backend: await backendFor(location) });
    await expect(open()).rejects.toThrow(LockedError);
    if (endsWithProcess) {
      holder.thaw();
      holder.go();
      expect(await holder.answer()).toEqual({ acknowledged: "written 2" });
      return;
    }
    await using store = await openPatiently(location, SETTINGS, {});
    await store.set("after", {});
    holder.thaw();
    holder.go();
    expect(await holder.answer()).toEqual({ code: "LOCKED" });
    await store.set("after", { again: true });
    await store.refresh();
    const ids = store.entries().map(([id]) => id);
    expect(ids.toSorted()).toEqual(["after", "held", "written 1"]);
  });
}
