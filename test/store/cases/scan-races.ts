/** scan while compactions delete what it reads: nothing twice, nothing left out. */
import { expect, test } from "vitest";
import { type MakeMedium, setUp } from "../fixture.ts";
import { AT_ONCE, compactAway, fill, idsBelow, taken } from "../streamed.ts";
import { idsOf, readers } from "./scan.ts";

export function scanRaceCases(make: MakeMedium): void {
  test.each([false, true])(
    "a scan continues after its last id when its runs are deleted meanwhile (reverse: %s)",
    async (reverse) => {
      const fixture = await setUp(make);
      const store = await fixture.open({ agentId: "a", ...AT_ONCE });
      await fill(store, 6_000, 500);
      await store.compact();
      await store.set("r03000a", "in the log");
      const [, reader] = await readers(fixture);
      const found: string[] = [];
      for await (const [id] of reader.scan({ reverse })) {
        found.push(id);
        if (found.length !== 10) continue;
        await store.set("r05999", "changed meanwhile");
        await store.set("r03000b", "new");
        await compactAway(fixture);
      }
      const ids = [...idsBelow(6_000), "r03000a"].toSorted();
      const there = found.filter((id) => id !== "r03000b");
      expect(there).toEqual(reverse ? ids.toReversed() : ids);
    },
  );

  test("a scan begins under the newer manifest when the log was compacted away", async () => {
    const fixture = await setUp(make);
    const store = await fixture.open({ agentId: "a", ...AT_ONCE });
    await fill(store, 30);
    await store.delete("r00007");
    const [, reader] = await readers(fixture);
    await compactAway(fixture);
    const ids = idsBelow(30).filter((id) => id !== "r00007");
    expect(await idsOf(reader)).toEqual(ids);
  });

  test("a manifest that still names a run which is gone: CorruptionError", async () => {
    const fixture = await setUp(make);
    const { open, medium, objects } = fixture;
    const store = await open({ agentId: "a", checkpointOnClose: false });
    await store.set("a", 1);
    await store.compact();
    const run = [...(await objects("snapshots/")).keys()].find((path) => path.endsWith(".jsonl"));
    const [, reader] = await readers(fixture);
    const backend = medium.backend();
    await backend.initialize(medium.location, { readOnly: false });
    await backend.delete([run ?? ""]);
    const scan = taken(reader.scan());
    await expect(scan).rejects.toMatchObject({ code: "CORRUPTION", path: run });
  });
}
