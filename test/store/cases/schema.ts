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
    expect(without.get("in a run")).toBe(1);
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

  test("a migrate that fails or gives what JSON cannot carry names the record", async () => {
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
}
