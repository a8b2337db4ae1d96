/** streamSnapshot and getWalOps while others write and compact: together they miss nothing. */
import { expect, onTestFailed, test } from "vitest";
import { UnavailableError } from "../../../src/core/errors.ts";
import { compact } from "../../../src/compaction/compact.ts";
import { dice, runSeed } from "../../processes/random.ts";
import { type MakeMedium, setUp, SHORT_GRACES } from "../fixture.ts";
import { apply, AT_ONCE, compactAway, fill, idsBelow, rebuilt, taken } from "../streamed.ts";
import { watchBackend } from "../watched-backend.ts";

export function streamRaceCases(make: MakeMedium): void {
  compactionCases(make);
  rebuildCases(make);
}

function compactionCases(make: MakeMedium): void {
  test("nothing is missing when a compaction comes between snapshot and operations", async () => {
    const fixture = await setUp(make);
    const store = await fixture.open({ agentId: "a", ...AT_ONCE });
    await fill(store, 50);
    await store.compact();
    await store.set("r00001", "changed before");
    await store.delete("r00002");
    const reader = await fixture.open({ readOnly: true, skipLoad: true });
    for (const streaming of [reader, store]) {
      const state = await rebuilt(streaming, async () => {
        await store.set("r00003", "changed between");
        await store.delete("r00004");
        await compactAway(fixture);
        await store.refresh();
        await store.set("r00004", "set anew");
      });
      expect(state).toEqual(new Map(await fixture.entries()));
    }
    // Told again, because the snapshot streamed last still lacks it, but with no `prev`.
    const again = await taken(reader.getWalOps());
    const change = again.find(({ id }) => id === "r00003");
    expect(change).toMatchObject({ op: "set", data: "changed between", agent: "a" });
    expect(change).not.toHaveProperty("prev");
    // A new snapshot has it.
    expect(await taken(reader.streamSnapshot())).toContainEqual(["r00003", "changed between"]);
    expect((await taken(reader.getWalOps())).map(({ id }) => id)).toEqual(["r00004"]);
  });

  test("a checkpoint of its own in between takes nothing away", async () => {
    const { open } = await setUp(make);
    const store = await open({ checkpointThreshold: 5 });
    await store.set("a", 1);
    const state = await rebuilt(store, async () => {
      for (let n = 0; n < 7; n++) await store.set(`n${n}`, n);
    });
    expect(store.stats().opsCount).toBeLessThan(5);
    expect(state).toEqual(new Map(store.entries()));
  });

  test("a snapshot continues after its last id when its runs are deleted meanwhile", async () => {
    const fixture = await setUp(make);
    // Not compressed, so that the reader cannot have all of it ahead.
    const store = await fixture.open({ agentId: "a", ...AT_ONCE, compression: "none" });
    await fill(store, 8_000, 1_000);
    await store.compact();
    const reader = await fixture.open({ readOnly: true, skipLoad: true });
    const state = new Map<string, unknown>();
    let given = 0;
    for await (const [id, record] of reader.streamSnapshot()) {
      state.set(id, record);
      if (++given !== 10) continue;
      for (const at of ["r00001", "r07999"]) await store.set(at, "changed meanwhile");
      await store.delete("r00002");
      await store.delete("r07998");
      await compactAway(fixture);
    }
    expect(given).toBe(state.size);
    expect(idsBelow(7_998).filter((id) => !state.has(id))).toEqual([]);
    expect(state.get("r07999")).toBe("changed meanwhile");
    for await (const operation of reader.getWalOps()) apply(state, operation);
    expect(state).toEqual(new Map(await fixture.entries()));
  });

  test("operations go on when their segments are deleted meanwhile", async () => {
    const fixture = await setUp(make);
    const store = await fixture.open({ agentId: "a" });
    // Above what is held in memory, so that the log is read in pieces, twice.
    for (let n = 0; n < 10; n++) await fill(store, 1_000, 1_000);
    await store.set("r00001", "last");
    const reader = await fixture.open({ readOnly: true, skipLoad: true });
    const state = new Map(await taken(reader.streamSnapshot()));
    let given = 0;
    for await (const operation of reader.getWalOps()) {
      apply(state, operation);
      if (++given !== 10) continue;
      await store.delete("r00002");
      await compactAway(fixture);
    }
    expect(given).toBeLessThan(6_000);
    expect(state).toEqual(new Map(await fixture.entries()));
  });

  test("a manifest that still names a run which is gone: CorruptionError", async () => {
    const { open, medium, objects } = await setUp(make);
    const store = await open({ agentId: "a", checkpointOnClose: false });
    await store.set("a", 1);
    await store.compact();
    const run = [...(await objects("snapshots/")).keys()].find((path) => path.endsWith(".jsonl"));
    const reader = await open({
      readOnly: true,
      skipLoad: true,
      backend: watchBackend(medium.backend()).backend,
    });
    const backend = medium.backend();
    await backend.initialize(medium.location, { readOnly: false });
    await backend.delete([run ?? ""]);
    const streaming = taken(reader.streamSnapshot());
    await expect(streaming).rejects.toMatchObject({ code: "CORRUPTION", path: run });
  });

  test(
    "a deletion that was purged in between is not passed over",
    { timeout: 60_000 },
    async () => {
      const fixture = await setUp(make, SHORT_GRACES);
      const { open, medium } = fixture;
      const store = await open({ agentId: "a", ...SHORT_GRACES });
      await store.set("kept", 1);
      await store.set("gone", 1);
      await store.compact();
      const reader = await open({ readOnly: true, skipLoad: true });
      const pass = (): ReturnType<typeof compact> =>
        compact(medium.location, { ...SHORT_GRACES, backend: medium.backend(), full: true });
      const state = rebuilt(reader, async () => {
        await store.delete("gone");
        await pass();
        await medium.pass(SHORT_GRACES.tombstoneGraceMs + 2_000);
        for (const value of [2, 3]) {
          await store.set("kept", value);
          await pass();
        }
      });
      await expect(state).rejects.toThrow(UnavailableError);
      expect(await rebuilt(reader)).toEqual(new Map([["kept", 3]]));
    },
  );
}

/** Any history of writes, undos and compactions, with stores that stream all the while. */
function rebuildCases(make: MakeMedium): void {
  const rounds = 6;

  test(
    "snapshot and operations rebuild the store, whatever went on",
    { timeout: 60_000 },
    async () => {
      const seed = runSeed();
      onTestFailed(() => console.log(`SEED=${seed}`));
      const { below, chance } = dice(seed);
      const fixture = await setUp(make);
      const { medium, open } = fixture;
      const writers = await Promise.all(
        ["a", "b", "c"].map((agentId) => open({ agentId, ...AT_ONCE })),
      );
      const act = async (): Promise<void> => {
        const writer = writers[below(writers.length)];
        const id = `k${below(8)}`;
        if (writer === undefined) return;
        const die = below(10);
        if (die < 2) await writer.undo();
        else if (die < 3) await writer.refresh();
        else if (die < 5 && writer.has(id)) await writer.delete(id);
        else if (die < 7) {
          await writer.batch(() => {
            void writer.set(id, below(1_000));
            void writer.set(`k${below(8)}`, below(1_000));
          });
        } else await writer.set(id, below(1_000));
        if (!chance(0.1)) return;
        await compact(medium.location, {
          ...AT_ONCE,
          backend: medium.backend(),
          full: chance(0.5),
        });
      };
      for (let round = 0; round < rounds; round++) {
        const reader = await open({ readOnly: true, skipLoad: chance(0.5) });
        for (let n = 0; n < 12; n++) await act();
        const state = new Map<string, unknown>();
        for await (const [id, record] of reader.streamSnapshot()) {
          expect(state.has(id)).toBe(false);
          state.set(id, record);
          if (chance(0.3)) await act();
        }
        for (let n = 0; n < below(12); n++) await act();
        // Nothing is promised of what is written while the operations are read.
        for await (const operation of reader.getWalOps()) apply(state, operation);
        expect(state).toEqual(new Map(await fixture.entries()));
      }
    },
  );
}
