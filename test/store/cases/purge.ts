/** What was deleted stays deleted when even its deletion is forgotten. */
import { expect, test } from "vitest";
import { compact } from "../../../src/compaction/compact.ts";
import type { Store } from "../../../src/store/store.ts";
import { type Fixture, type MakeMedium, setUp, SHORT_GRACES } from "../fixture.ts";

/** Deletes "gone" and compacts until no object tells of it any more. */
async function deleteAndPurge(fixture: Fixture, writer: Store<unknown>): Promise<void> {
  const { medium, objects } = fixture;
  await writer.delete("gone");
  const pass = (): ReturnType<typeof compact> =>
    compact(medium.location, { ...SHORT_GRACES, backend: medium.backend(), full: true });
  await pass();
  await medium.pass(SHORT_GRACES.tombstoneGraceMs + 2_000);
  await writer.set("other", "later");
  await pass();
  await writer.set("other", "latest");
  await pass();
  const left = [...(await objects("")).values()].join("");
  expect(left).toContain('"kept"');
  expect(left).not.toContain('"gone"');
}

export function purgeCases(make: MakeMedium): void {
  const slow = { timeout: 60_000 };

  test("a purged deletion stays one for fresh readers and later writers", slow, async () => {
    const fixture = await setUp(make, SHORT_GRACES);
    const writer = await fixture.open({ agentId: "w", ...SHORT_GRACES });
    await writer.set("kept", 1);
    await writer.set("gone", "value of gone");
    await deleteAndPurge(fixture, writer);
    expect(new Map(await fixture.entries())).toEqual(
      new Map<string, unknown>([
        ["kept", 1],
        ["other", "latest"],
      ]),
    );
    expect(await fixture.lookUp(["gone", "kept"])).toEqual(new Map([["kept", 1]]));
    await writer.refresh();
    expect([writer.has("gone"), writer.count()]).toEqual([false, 2]);
    await writer.set("gone", "again");
    expect(await fixture.lookUp(["gone"])).toEqual(new Map([["gone", "again"]]));
  });

  test("readers that lived through the purge forget what they knew (RELOAD)", slow, async () => {
    const fixture = await setUp(make, SHORT_GRACES);
    const writer = await fixture.open({ agentId: "w", ...SHORT_GRACES });
    await writer.set("kept", 1);
    await writer.set("gone", "value of gone");
    await writer.compact();
    const eager = await fixture.open({ readOnly: true });
    const lazy = await fixture.open({ readOnly: true, skipLoad: true });
    await lazy.hydrate(["gone", "kept"]);
    expect([eager.has("gone"), lazy.has("gone")]).toEqual([true, true]);
    await deleteAndPurge(fixture, writer);
    for (const reader of [eager, lazy]) {
      await reader.refresh();
      expect([reader.has("gone"), reader.get("kept")]).toEqual([false, 1]);
      await reader.refresh();
      expect(reader.has("gone")).toBe(false);
    }
    expect(eager.get("other")).toBe("latest");
  });
}
