/** How far deletions may be purged where several compactors divide the work. */
import { expect, onTestFinished, test } from "vitest";
import { Store } from "../../src/store/store.ts";
import { GRACES, ids, scene, sorted } from "./tasks-support.ts";

test("a worker for units raises the floor where no log up to it is left, though it merges none", async () => {
  const held = await scene();
  await held.write(ids(6).map((id) => [id, id]));
  await held.pass();
  await held.write(ids(3).map((id) => [id, undefined]));
  await held.pass({ kind: "log", index: 0, of: 1 });
  const { clock } = await held.manifest();
  await held.runtime.advance(10 * 60_000);
  await held.write([["late", "log that waits"]]);
  const log = { kind: "log", index: 0, of: 1 } as const;
  expect((await held.pass({ kind: "units", index: 1, of: 2 })).outcome).toMatch(/published|idle/);
  expect((await held.manifest()).purgeFloor, "it is for the first of them").toBe(0);
  const report = await held.pass({ kind: "units", index: 0, of: 2 });
  expect(report).toMatchObject({ outcome: "published", segments: 0 });
  const { purgeFloor } = await held.manifest();
  expect(purgeFloor).toBe(clock);
  expect(await held.pass(log)).toMatchObject({ outcome: "published", segments: 1 });
  expect((await held.manifest()).purgeFloor).toBe(clock);
  expect(await held.contents()).toEqual([
    ["a", "first"],
    ["late", "log that waits"],
    ...ids(6)
      .slice(3)
      .map((id) => [id, id]),
  ]);
});

test("the floor does not rise over log that waits, whoever has merged what is later", async () => {
  const held = await scene();
  await held.write([["waits", "written early"]]);
  const [early = ""] = (await held.paths("ops/")).slice(-1);
  await held.write(ids(6).map((id) => [id, id]));
  await held.write(ids(3).map((id) => [id, undefined]));
  const shard = Number.parseInt(early.slice("ops/".length)[0] ?? "", 16);
  for (let index = 0; index < 16; index++) {
    if (index !== shard) await held.pass({ kind: "log", index, of: 16 });
  }
  const { clock } = await held.manifest();
  await held.runtime.advance(10 * 60_000);
  for (let turn = 0; turn < 3; turn++) {
    await held.pass({ kind: "units", index: 0, of: 1 });
    await held.pass({ kind: "log", index: (shard + 1) % 16, of: 16 });
  }
  expect((await held.manifest()).purgeFloor).toBe(0);
  expect(await held.contents()).toContainEqual(["waits", "written early"]);
  await held.pass({ kind: "log", index: shard, of: 16 });
  await held.pass({ kind: "units", index: 0, of: 1 });
  expect((await held.manifest()).purgeFloor).toBeGreaterThanOrEqual(clock);
  expect(await held.contents()).toContainEqual(["waits", "written early"]);
});

test("a write that lands too late, and that a reader sees before the floor rises over it, stays for nobody", async () => {
  const held = await scene();
  await held.write([
    ["d", "kept"],
    ["e", "gone"],
    ["g", "gone"],
  ]);
  const before = await held.paths("ops/");
  await held.write([["d", "landed too late"]]);
  const late = (await held.paths("ops/")).find((path) => !before.includes(path)) ?? "";
  const found = await held.backend.get(late);
  if (found.status !== "found") throw new Error("no segment");
  await held.backend.delete([late]);
  await held.write([
    ["e", undefined],
    ["g", undefined],
  ]);
  await held.pass(undefined, {});
  await held.runtime.advance(10 * 60_000);
  await held.write([["f", "fresh"]]);
  const reader = new Store<string>({ runtime: held.runtime });
  await reader.open("store", { backend: held.backend, readOnly: true, ...GRACES });
  onTestFinished(() => reader.close());
  const { backend } = held;
  const put = backend.put.bind(backend);
  let isFirst = true;
  backend.put = async (...args) => {
    if (args[0].endsWith(".index") && isFirst) {
      isFirst = false;
      await put(late, found.body, { ifAbsent: true });
      await reader.refresh();
      expect(reader.get("d")).toBe("landed too late");
    }
    return put(...args);
  };
  await held.pass(undefined, {});
  expect((await held.manifest()).purgeFloor).toBeGreaterThan(0);
  await reader.refresh();
  const expected = [
    ["a", "first"],
    ["d", "kept"],
    ["f", "fresh"],
  ];
  expect(sorted(reader.entries())).toEqual(expected);
  expect(await held.contents()).toEqual(expected);
});
