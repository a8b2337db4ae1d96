/** Lists of merged segments, where what was merged is written anew for a later manifest. */
import { expect, test } from "vitest";
import { verify } from "../../src/store/verify.ts";
import { ids, LIMITS, scene, sorted } from "./tasks-support.ts";

test("log that is written anew is listed anew: the first list may have been collected", async () => {
  const held = await scene();
  const records = ids(24).map((id): [string, string] => [id, id]);
  await held.write(records);
  const { backend } = held;
  const settings = { gcGraceMs: 0 };
  const compactor = held.compactor(LIMITS, settings);
  const others = [
    () => held.compactor(LIMITS, settings).pass({ task: { kind: "log", index: 1, of: 2 } }),
    () =>
      held
        .compactor({ ...LIMITS, portionBytesMin: 1_000_000 }, settings)
        .pass({ task: { kind: "units", index: 0, of: 1 } }),
  ];
  const put = backend.put.bind(backend);
  let isNested = false;
  backend.put = async (...args) => {
    const isOwn = args[0] === "manifest.json" && !isNested;
    const other = isOwn ? others.shift() : undefined;
    if (other !== undefined) {
      isNested = true;
      expect((await other()).report.outcome).toBe("published");
      isNested = false;
    }
    return put(...args);
  };
  const { report } = await compactor.pass({ task: { kind: "log", index: 0, of: 2 } });
  expect(report.outcome).toBe("published");
  expect(others).toEqual([]);
  expect((await verify("store", { backend })).problems).toEqual([]);
  expect(await held.contents()).toEqual(sorted([["a", "first"], ...records]));
  await held.runtime.advance(10 * 60_000);
  for (let turn = 0; turn < 3; turn++) await held.compactor(LIMITS, settings).pass();
  expect(await held.paths("ops/")).toEqual([]);
});
