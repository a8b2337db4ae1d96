/** What archives may be called, and calls that are refused. */
import { expect, test } from "vitest";
import { InvalidArgumentError, NotOpenError, ReadOnlyError } from "../../../src/core/errors.ts";
import { Store } from "../../../src/store/store.ts";
import { type MakeMedium, setUp } from "../fixture.ts";
import { archived, EVEN, fill, isDone, KEEP, type Task } from "./archive-support.ts";

export function archiveNameCases(make: MakeMedium): void {
  test("by default an archive has the name of the quarter, in local time", async () => {
    const { medium } = await setUp(make);
    const names = [
      [new Date(2026, 0, 1, 0, 0, 0), "2026-Q1"],
      [new Date(2026, 2, 31, 23, 59, 59), "2026-Q1"],
      [new Date(2026, 3, 1), "2026-Q2"],
      [new Date(2026, 8, 30, 23), "2026-Q3"],
      [new Date(2026, 11, 31, 23, 59, 59), "2026-Q4"],
    ] as const;
    for (const [date, name] of names) {
      const runtime = { ...medium.runtime, nowMs: () => date.getTime() };
      await using store = new Store<number>({ runtime });
      await store.open(medium.location, { backend: medium.backend(), agentId: "a" });
      await store.set(name, 1);
      await store.archive(() => true);
      expect(store.listArchiveSegments()).toContain(`archive/archive-${name}.json`);
      expect((await store.loadArchive(name)).has(name)).toBe(true);
    }
  });

  test.each([
    "",
    ".",
    "..",
    "a/b",
    "../../x",
    "a\\b",
    "a\nb",
    "\u0000",
    "\u007f",
    "x".repeat(129),
    "\ud800",
  ])("%j is refused before anything happens", async (name) => {
    const { open, medium } = await setUp(make);
    const store = await open<Task>({ ...KEEP, agentId: "a" });
    await fill(store);
    const before = await medium.contents();
    const asked: unknown[] = [];
    const call = store.archive((value) => asked.push(value) > 0, name);
    await expect(call).rejects.toThrow(InvalidArgumentError);
    await expect(call).rejects.toThrow("an archive's name has 1 to 128 characters");
    expect(asked).toEqual([]);
    expect(await medium.contents()).toEqual(before);
  });

  test.each(["x".repeat(128), "…", "2026 Q1", "*?:<>|\"'", "-", "a.jsonl", "__proto__", "snap-1"])(
    "%j is a name, and stays inside archive/",
    async (name) => {
      const fixture = await setUp(make);
      const store = await fixture.open<Task>(KEEP);
      await fill(store);
      expect(await store.archive(isDone, name)).toBe(3);
      expect(store.listArchiveSegments()).toEqual([`archive/archive-${name}.json`]);
      expect(await archived(fixture, name)).toEqual(EVEN);
      const paths = [...(await fixture.objects("archive/")).keys()];
      expect(paths).toHaveLength(1);
      expect(paths[0]).toMatch(/^archive\/archive-[A-Za-z0-9_-]{1,32}-\d+-[0-9a-f]{16}\.jsonl$/);
    },
  );
}

export function archiveRefusalCases(make: MakeMedium): void {
  test("a readOnly store archives nothing, but loads archives", async () => {
    const { open } = await setUp(make);
    const store = await open<Task>(KEEP);
    await fill(store);
    await store.archive(isDone, "p");
    const reader = await open<Task>({ readOnly: true });
    await expect(reader.archive(() => true)).rejects.toThrow(ReadOnlyError);
    expect(reader.listArchiveSegments()).toHaveLength(1);
    expect((await reader.loadArchive("p")).size).toBe(3);
  });

  test("before open and after close every call is refused", async () => {
    const store = new Store<Task>();
    await expect(store.archive(() => true)).rejects.toThrow(NotOpenError);
    await expect(store.loadArchive("p")).rejects.toThrow(NotOpenError);
    expect(() => store.listArchiveSegments()).toThrow(NotOpenError);
  });

  test("a predicate that throws, or is async, or is none, changes nothing", async () => {
    const { open, medium } = await setUp(make);
    const store = await open<Task>({ ...KEEP, agentId: "a" });
    await fill(store);
    const before = await medium.contents();
    const failing = ({ n }: Task): boolean => {
      if (n === 4) throw new RangeError("no");
      return true;
    };
    const later = (async () => Promise.reject(new Error("later"))) as unknown as () => boolean;
    const none = "done" as unknown as () => boolean;
    await expect(store.archive(failing, "p")).rejects.toThrow(RangeError);
    await expect(store.archive(later, "p")).rejects.toThrow(
      "archive needs a synchronous predicate",
    );
    await expect(store.archive(none, "p")).rejects.toThrow('a predicate function, found "done"');
    expect(await medium.contents()).toEqual(before);
    expect(store.count()).toBe(6);
    expect(await store.archive(isDone, "p")).toBe(3);
  });

  test("a predicate that changes its argument gets an error", async () => {
    const { open } = await setUp(make);
    const store = await open<{ n: number }>(KEEP);
    await store.set("a", { n: 1 });
    const changing = (value: { n: number }): boolean => ++value.n > 0;
    await expect(store.archive(changing, "p")).rejects.toThrow(TypeError);
    expect(store.get("a")).toEqual({ n: 1 });
  });
}
