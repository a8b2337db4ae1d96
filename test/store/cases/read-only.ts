/** readOnly: no lock, no writes of any kind. */
import { expect, test } from "vitest";
import { ReadOnlyError } from "../../../src/core/errors.ts";
import { type MakeMedium, setUp } from "../fixture.ts";
import { watchBackend, writesOf } from "../watched-backend.ts";

const MESSAGE = "Store is read-only. Cannot perform mutations.";

export function readOnlyCases(make: MakeMedium): void {
  test.each([true, false])("every mutation is refused, skipLoad %s", async (skipLoad) => {
    const { open } = await setUp(make);
    const writer = await open();
    await writer.set("a", 1);
    const reader = await open({ readOnly: true, skipLoad });
    expect(() => reader.set("a", 2)).toThrow(new ReadOnlyError(MESSAGE));
    expect(() => reader.delete("a")).toThrow(new ReadOnlyError(MESSAGE));
    await expect(reader.batch(() => {})).rejects.toThrow(new ReadOnlyError(MESSAGE));
    await expect(reader.update("a", () => 2)).rejects.toThrow(new ReadOnlyError(MESSAGE));
    await expect(reader.undo()).rejects.toThrow(new ReadOnlyError(MESSAGE));
    await expect(reader.archive(() => true)).rejects.toThrow(new ReadOnlyError(MESSAGE));
    await expect(reader.compact()).rejects.toThrow(new ReadOnlyError(MESSAGE));
    await reader.flush();
    expect(await reader.read("a")).toBe(1);
  });

  test("nothing is written, whatever is read, and whatever lies there", async () => {
    const { medium, open } = await setUp(make);
    const writer = await open({ checkpointOnClose: false });
    for (let n = 0; n < 5; n++) await writer.set(`r${n}`, n);
    await writer.compact();
    await writer.set("x", 1);
    await writer.close();
    const before = await medium.contents();
    for (const skipLoad of [false, true]) {
      const watched = watchBackend(medium.backend());
      const reader = await open({
        backend: watched.backend,
        readOnly: true,
        skipLoad,
        checkpointOnClose: true,
        checkpointThreshold: 1,
      });
      await reader.read("r1");
      await reader.hydrate();
      reader.getHistory("x");
      for await (const _ of reader.streamSnapshot());
      for await (const _ of reader.getWalOps());
      await reader.refresh();
      expect(await reader.tail()).toEqual([]);
      reader.watch(() => {}, 1);
      await medium.runtime.sleep(10);
      reader.unwatch();
      await reader.flush();
      expect(reader.count()).toBe(6);
      await reader.close();
      expect(writesOf(watched)).toEqual([]);
    }
    expect(await medium.contents()).toEqual(before);
  });

  test("several readers run beside one writer, and beside its compaction", async () => {
    const { open } = await setUp(make);
    const writer = await open();
    await writer.set("a", 1);
    const readers = await Promise.all([1, 2, 3].map(() => open({ readOnly: true })));
    await writer.set("a", 2);
    await writer.compact();
    for (const reader of readers) {
      expect(reader.get("a")).toBe(1);
      await reader.refresh();
      expect(reader.get("a")).toBe(2);
    }
  });
}
