/** Schema versions: what is old is migrated on read, what is newer is refused. */
import { expect, test } from "vitest";
import { InvalidArgumentError, SchemaTooNewError } from "../../../src/core/errors.ts";
import { type MakeMedium, setUp } from "../fixture.ts";

const migrate = (record: unknown, from: number): unknown => ({ record, from });

export function schemaCases(make: MakeMedium): void {
  test.each([true, false])("each record is migrated from its own version, %s", async (skipLoad) => {
    const { open } = await setUp(make);
    const one = await open({ version: 1, agentId: "one", checkpointOnClose: false });
    await one.set("in a run", 1);
    await one.compact();
    await one.set("in the log", 1);
    await one.close();
    const two = await open({ version: 2, agentId: "two", skipLoad: true });
    await two.set("of two", 2);
    const three = await open({ version: 3, migrate, agentId: "three", skipLoad });
    await three.set("of three", 3);
    const expectMigrated = async (): Promise<void> => {
      expect(await three.read("in a run")).toEqual({ record: 1, from: 1 });
      expect(await three.read("in the log")).toEqual({ record: 1, from: 1 });
      expect(await three.read("of two")).toEqual({ record: 2, from: 2 });
      expect(await three.read("of three")).toBe(3);
    };
    await expectMigrated();
    await three.compact();
    await three.refresh();
    await expectMigrated();
    await three.close();
    const without = await open({ version: 3, readOnly: true });
    expect(without.get("in a run"), "persisted").toEqual({ record: 1, from: 1 });
  });

  test("a checkpoint persists what was migrated, and only that of its own program", async () => {
    const { open, objects } = await setUp(make);
    const stored = async (): Promise<string> =>
      [...(await objects("snapshots/")).values()].join("");
    const one = await open({ version: 1, agentId: "one", checkpointOnClose: false });
    for (const id of ["a", "b", "gone"]) await one.set(id, `${id} of one`);
    await one.compact();
    await one.delete("gone");
    // The scheduled compactor knows no schema, nor does a program without `migrate`.
    const plain = await open({ version: 2, agentId: "plain", skipLoad: true });
    await plain.compact();
    expect(await stored()).not.toContain('"v":2');

    const calls: string[] = [];
    const two = await open({
      version: 2,
      agentId: "two",
      migrate: (record, from) => {
        calls.push(`${String(record)}, ${from}`);
        return { now: record };
      },
    });
    const seen = two.entries();
    await two.compact();
    await two.close();
    expect(await open({ version: 2, readOnly: true }).then((store) => store.entries())).toEqual(
      seen,
    );
    expect(seen).toEqual([
      ["a", { now: "a of one" }],
      ["b", { now: "b of one" }],
    ]);
    calls.length = 0;
    const again = await open({ version: 2, agentId: "again", migrate: () => calls.push("again") });
    expect(again.entries()).toEqual(seen);
    await again.compact();
    await again.refresh();
    expect(again.entries()).toEqual(seen);
    expect(calls, "nothing is migrated twice").toEqual([]);
    await expect(open({ version: 1, readOnly: true })).rejects.toThrow(SchemaTooNewError);
  });

  test("a reader of older records meets the migrated ones, version by version", async () => {
    const { open } = await setUp(make);
    const one = await open({ version: 1, agentId: "one", checkpointOnClose: false });
    await one.set("a", 1);
    await one.compact();
    const follower = await open({ version: 2, migrate, readOnly: true });
    await follower.tail();
    const two = await open({ version: 2, migrate, agentId: "two" });
    await two.compact();
    expect(await follower.tail(), "the same record").toEqual([]);
    expect(follower.get("a")).toEqual({ record: 1, from: 1 });
  });

  test("a checkpoint whose migrate fails names the record and changes nothing", async () => {
    const { medium, open } = await setUp(make);
    const one = await open({ version: 1, agentId: "one", checkpointOnClose: false });
    await one.set("a", 1);
    await one.compact();
    const failing = (): never => {
      throw new RangeError("cannot do it");
    };
    const lazy = await open({ version: 2, migrate: failing, agentId: "two", skipLoad: true });
    const before = await medium.contents();
    await expect(lazy.compact()).rejects.toThrow(
      "migrate failed on record 'a' from version 1 to 2",
    );
    const unchanged = [...(await medium.contents())].filter(([name]) => before.has(name));
    expect(unchanged.filter(([name]) => !/lease|compacts/.test(name))).toEqual(
      [...before].filter(([name]) => !/lease|compacts/.test(name)),
    );
    const reader = await open({ version: 1, readOnly: true });
    expect(reader.get("a")).toBe(1);
  });

  test("a newer record is refused, in the log and in a run, and others are not", async () => {
    const { open } = await setUp(make);
    const two = await open({ version: 2, agentId: "two" });
    const one = await open({ version: 1, agentId: "one", checkpointOnClose: false });
    await one.set("old", 1);
    await one.close();
    await two.set("new", 2);
    const expectRefused = async (): Promise<void> => {
      const eager = open({ version: 1, readOnly: true });
      await expect(eager).rejects.toThrow(SchemaTooNewError);
      await expect(eager).rejects.toThrow("roll out the newer code to readers first");
      const lazy = await open({ version: 1, readOnly: true, skipLoad: true });
      expect(await lazy.read("old")).toBe(1);
      await expect(lazy.read("new")).rejects.toMatchObject({ code: "SCHEMA_TOO_NEW", id: "new" });
    };
    await expectRefused();
    await two.compact();
    await expectRefused();
  });

  test("a migrate that fails or returns what JSON cannot carry names the record", async () => {
    const { open } = await setUp(make);
    const one = await open({ agentId: "one" });
    await one.set("a", 1);
    const failing = (): never => {
      throw new RangeError("cannot do it");
    };
    for (const bad of [failing, () => undefined, () => 1n]) {
      const opening = open({ version: 2, migrate: bad, readOnly: true });
      await expect(opening).rejects.toThrow(InvalidArgumentError);
      await expect(opening).rejects.toThrow("migrate failed on record 'a' from version 1 to 2");
    }
  });

  test("old and new code at once: each record keeps the version it was written under", async () => {
    const { open } = await setUp(make);
    const lazy = { skipLoad: true, blindWrites: true, checkpointOnClose: false };
    const old = await open({ ...lazy, version: 1, agentId: "old" });
    const upgraded = await open({ version: 2, migrate, agentId: "new", checkpointOnClose: false });
    await old.set("a", "old");
    await upgraded.set("b", "new");
    await upgraded.refresh();
    await upgraded.set("both", "new");
    await old.refresh();
    await old.set("both", "old, later");
    const expectApart = async (): Promise<void> => {
      await upgraded.refresh();
      expect(upgraded.get("a")).toEqual({ record: "old", from: 1 });
      expect(upgraded.get("b")).toBe("new");
      expect(upgraded.get("both")).toEqual({ record: "old, later", from: 1 });
      const reader = await open({ version: 2, migrate, readOnly: true, skipLoad: true });
      expect(new Map(await reader.readMany(["a", "b", "both"]))).toEqual(
        new Map(upgraded.entries()),
      );
      expect(await old.read("a")).toBe("old");
      await expect(old.read("b")).rejects.toThrow(SchemaTooNewError);
    };
    await expectApart();
    await old.compact();
    await expectApart();
    await upgraded.set("a", upgraded.get("a"));
    await upgraded.compact();
    const without = await open({ version: 2, readOnly: true });
    expect(without.get("a"), "written anew, it is of the new version").toEqual({
      record: "old",
      from: 1,
    });
  });

  test("a migrate that fails in a look leaves memory and store as they were", async () => {
    const { medium, open } = await setUp(make);
    const one = await open({ agentId: "one", checkpointOnClose: false });
    await one.set("good", 1);
    const picky = (record: unknown): unknown => {
      if (record === "bad") throw new RangeError("cannot do it");
      return { migrated: record };
    };
    const two = await open({
      version: 2,
      migrate: picky,
      agentId: "two",
      checkpointOnClose: false,
    });
    const expected = [["good", { migrated: 1 }]];
    expect(two.entries()).toEqual(expected);
    await one.batch(() => {
      void one.set("good", 2);
      void one.set("other", "bad");
    });
    const before = await medium.contents();
    await expect(two.refresh()).rejects.toThrow("migrate failed on record 'other'");
    await expect(two.tail()).rejects.toThrow("migrate failed on record 'other'");
    expect(two.entries()).toEqual(expected);
    expect(await medium.contents()).toEqual(before);
    await one.set("other", "better");
    await two.refresh();
    expect(two.entries()).toEqual([
      ["good", { migrated: 2 }],
      ["other", { migrated: "better" }],
    ]);
  });
}
