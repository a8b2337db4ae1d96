/** What verify says of a store whose manifest or runs break what levels promise. */
import { describe, expect, test } from "vitest";
import { encodeManifest, type Manifest } from "../../src/format/manifest-codec.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import { fromSorted } from "../../src/runs/merge.ts";
import { writeRun } from "../../src/runs/run-writer.ts";
import { verify } from "../../src/store/verify.ts";
import { tombstone } from "../runs/support.ts";
import { ids, MANIFEST, Scene, text, UNITS } from "./units-support.ts";

/** Three levels: two drain into the oldest, of which a part is done, and a newer one. */
async function draining(): Promise<Scene> {
  const scene = new Scene();
  await scene.backend.initialize("store", { readOnly: false });
  await scene.write(ids(200).map((id) => [id, text("old")]));
  await scene.pass(UNITS);
  await scene.write(ids(100, 2).map((id) => [id, text("new")]));
  await scene.pass(UNITS, { steps: 2 });
  await scene.write([["r00001", undefined]]);
  await scene.pass(UNITS, { steps: 1 });
  return scene;
}

const EVERYTHING = [{ from: "", to: undefined }];

type Change = (manifest: Manifest) => Partial<Manifest>;

/** What verify finds in such a store with another manifest. */
async function problemsOf(change: Change, scene?: Scene): Promise<string[]> {
  const { backend } = scene ?? (await draining());
  const whole = await backend.manifest();
  await backend.writeBlob(MANIFEST, encodeManifest({ ...whole, ...change(whole) }));
  const { problems } = await verify("store", { backend });
  return problems.map(({ message }) => message);
}

/** Another description of the first run for which it holds. */
function changed(is: (run: RunInfo, at: number) => boolean, change: Partial<RunInfo>): Change {
  return ({ runs }) => {
    const at = runs.findIndex(is);
    const run = runs[at];
    if (run === undefined) throw new Error("no such run");
    return { runs: runs.with(at, { ...run, ...change }) };
  };
}

function withoutDate(run: RunInfo): RunInfo {
  const { oldestMs, ...rest } = run;
  return oldestMs === undefined ? run : rest;
}

const isNewest = ({ level }: RunInfo): boolean => level === 0;
const isExcised = ({ excised }: RunInfo): boolean => excised !== undefined;
const isFirst = (_run: RunInfo, at: number): boolean => at === 0;

test("the store is whole, has levels that drain, and runs of which a part counts", async () => {
  const scene = await draining();
  const whole = await scene.backend.manifest();
  expect(await problemsOf(() => ({}), scene)).toEqual([]);
  expect(whole.draining.length).toBeGreaterThan(0);
  expect(whole.runs.some(isExcised)).toBe(true);
  expect(new Set(whole.runs.map(({ level }) => level)).size).toBeGreaterThan(2);
  expect(whole.runs.reduce((sum, { tombstones }) => sum + tombstones, 0)).toBe(1);
});

describe("what a manifest says of levels", () => {
  const cases: readonly (readonly [string, RegExp, Change])[] = [
    [
      "an id counts in two runs of a level",
      /record "r\d+" may count in two runs of level \d/,
      ({ runs }) => ({ runs: runs.map((run) => ({ ...run, level: 0 })) }),
    ],
    ["nothing of a run counts", /nothing of it counts/, changed(isNewest, { excised: EVERYTHING })],
    ["a run of a later generation", /named since generation 99/, changed(isNewest, { since: 99 })],
    [
      "a run without a date",
      /lacks the date of its oldest data/,
      ({ runs }) => ({
        runs: runs.map(withoutDate),
      }),
    ],
    [
      "a level is left out",
      /levels must be numbered from 0/,
      ({ runs }) => ({
        runs: runs.map((run) => ({ ...run, level: run.level + 1 })),
        draining: [],
      }),
    ],
    [
      "levels in another order",
      /comes after .*, which is of a newer level/,
      ({ runs }) => ({ runs: runs.toReversed() }),
    ],
    ["a level that is not there drains", /level 9 is said to drain/, () => ({ draining: [9] })],
    ["a level drains twice", /draining levels must ascend at 1/, () => ({ draining: [1, 1] })],
    [
      "a run is named twice",
      /is named twice/,
      ({ runs: [first, ...rest] }) => ({
        runs: first === undefined ? [] : [first, first, ...rest],
      }),
    ],
    [
      "a run of a base that is not before",
      /was made on a generation that is not before 1/,
      () => ({ generation: 1, lastPurge: 0 }),
    ],
  ];

  test.each(cases)("%s", async (_, expected, change) => {
    const problems = await problemsOf(change);
    expect(
      problems.some((message) => expected.test(message)),
      problems.join("\n"),
    ).toBe(true);
    expect(problems.every((message) => message.startsWith(MANIFEST))).toBe(true);
  });
});

describe("what a manifest says of a run", () => {
  test.each([
    ["records", /expected .*"records":1,.* found .*"records":\d\d/, { records: 1 }],
    ["tombstones", /expected .*"tombstones":1.* found/, { tombstones: 1 }],
    ["bytes of lines", /expected 12345 bytes of lines, found \d+/, { rawBytes: 12_345 }],
    ["bytes", /it covers \d+\.\.\d+, expected \d+\.\.500/, { bytes: 500 }],
    ["the lowest schema version", /no schema version below 2, found 1/, { minSchema: 2 }],
  ] as const)("%s", async (_, expected, change) => {
    const [message = "", ...others] = await problemsOf(changed(isFirst, change));
    expect(message).toMatch(expected);
    expect(message).toMatch(/^snapshots\//);
    expect(others.length).toBeLessThan(2);
  });
});

test("a tombstone that claims to be younger than its run", async () => {
  const scene = await draining();
  const { backend } = scene;
  const whole = await backend.manifest();
  const base = whole.generation - 1;
  const made = await writeRun(backend, {
    path: `snapshots/snap-${base}-00000000000000aa.jsonl`,
    indexPath: `snapshots/snap-${base}-00000000000000aa.index`,
    base,
    compression: "deflate",
    entries: fromSorted([{ ...tombstone("r00001"), since: whole.generation + 1 }]),
  });
  const problems = await problemsOf(
    ({ runs }) => ({
      runs: runs.map((run) => {
        return isNewest(run) ? { ...run, ...made, level: 0, since: whole.generation } : run;
      }),
    }),
    scene,
  );
  expect(problems).toEqual([
    expect.stringMatching(/a tombstone of 'r00001' that was in a run since generation \d+, but/),
  ]);
});
