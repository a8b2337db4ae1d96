/** A compactor whose limits are tiny, so that small stores are merged in many units. */
import { LANES } from "../../src/core/lane.ts";
import { expect, test } from "vitest";
import { LEVELS_MAX } from "../../src/compaction/tiers.ts";
import { visibleBytes } from "../../src/runs/visible.ts";
import {
  GRACE_MS,
  KB,
  Scene,
  UNITS,
  bytesOf,
  countLevels,
  ids,
  madeBy,
  text,
  twoLevels,
} from "./units-support.ts";

test.each([1, 2, Infinity])(
  "a store is merged in many units, each a publication, and none twice (%d for each invocation)",
  async (steps) => {
    const { scene, expected } = await twoLevels();
    const { backend } = scene;
    const first = await backend.manifest();
    const from = backend.published.length;
    const allBytes = first.runs.reduce((sum, run) => sum + visibleBytes(run), 0);
    for (let invocations = 1; ; invocations++) {
      const report = await scene.pass(UNITS, { steps });
      expect(await scene.contents()).toEqual(expected);
      if (report.outcome === "idle") break;
      expect(report.publications).toBeGreaterThan(0);
      expect(report.publications).toBeLessThanOrEqual(steps);
      expect(invocations).toBeLessThan(40);
    }
    const units = backend.published.slice(from);
    expect(units.length).toBeGreaterThan(8);
    const written = units.map((unit) => bytesOf(madeBy(unit)));
    for (const bytes of written) expect(bytes).toBeLessThan(1.3 * 40 * KB);
    for (const run of units.flatMap(madeBy)) expect(run.bytes).toBeLessThan(1.3 * 20 * KB);
    // The two levels hold every second record twice: what is written is what is left, once.
    expect(written.reduce((sum, bytes) => sum + bytes)).toBeLessThan((allBytes * 2) / 3 + 30 * KB);
    const last = await backend.manifest();
    expect(countLevels(last)).toBe(1);
    expect(last.draining).toEqual([]);
    expect(last.runs.every(({ excised }) => excised === undefined)).toBe(true);
    expect(last.stats?.activeRecords).toBe(300);
    expect(scene.warnings).toEqual([]);
  },
);

test("levels drain on while log comes on top of them", async () => {
  const { scene, expected } = await twoLevels();
  const contents = new Map(expected);
  const from = scene.backend.published.length;
  for (let round = 0; round < 40; round++) {
    const id = `r00${String((round * 37) % 300).padStart(3, "0")}`;
    await scene.write([[id, `round ${round}`]]);
    contents.set(id, `round ${round}`);
    // One portion of log, and one unit.
    await scene.pass({ ...UNITS, portionBytesMin: 1 }, { steps: 2 });
    expect(await scene.contents()).toEqual([...contents]);
  }
  const after = scene.backend.published.slice(from);
  expect(Math.max(...after.map(countLevels))).toBeLessThanOrEqual(LEVELS_MAX + 1);
});

test("log and units take turns where there are more than nine levels", async () => {
  const scene = new Scene();
  await scene.backend.initialize("store", { readOnly: false });
  const held = new Map<string, string>();
  const limits = { ...UNITS, logSegmentsMax: 1, unitBytesMax: 2 * KB };
  for (let n = 0; n < 30; n++) {
    const records = ids(4, n + 1).map((id): [string, string] => [id, text(`${n}`)]);
    await scene.write(records);
    for (const [id, value] of records) held.set(id, value);
  }
  const from = scene.backend.published.length;
  const report = await scene.pass(limits, { steps: 50 });
  expect(report.segments).toBe(30);
  const steps = scene.backend.published.slice(from);
  // Only log raises the clock here: each portion is later than the ones before.
  const kinds = steps.map(({ clock }, at) =>
    clock > (steps[at - 1]?.clock ?? 0) ? "log" : "unit",
  );
  const lastLog = kinds.lastIndexOf("log");
  const turns = kinds.slice(0, lastLog + 1);
  const crowded = turns.findIndex((_, at) => countLevels(steps[at]) > LEVELS_MAX);
  expect(turns.slice(0, crowded + 1)).toEqual(turns.slice(0, crowded + 1).map(() => "log"));
  for (const [at, kind] of turns.entries()) {
    if (at <= crowded || countLevels(steps[at - 1]) <= LEVELS_MAX) continue;
    const before = turns[at - 1];
    if (before === "log") expect(kind, `step ${at}`).toBe("unit");
    else expect(kind, `step ${at}`).toBe("log");
  }
  expect(turns.filter((kind) => kind === "unit").length).toBeGreaterThan(5);
  while ((await scene.pass(limits)).outcome !== "idle");
  expect(countLevels(await scene.backend.manifest())).toBeLessThanOrEqual(LEVELS_MAX);
  const sorted = [...held].toSorted(([a], [b]) => (a < b ? -1 : 1));
  expect(await scene.contents()).toEqual(sorted);
});

test("a full merge leaves one level, over several passes while writers go on", async () => {
  const { scene, expected } = await twoLevels();
  const contents = new Map(expected);
  const limits = { ...UNITS, portionBytesMin: 1 };
  const from = scene.backend.published.length;
  for (let round = 0; round < 30; round++) {
    // The lowest id every time: whoever began with it again would never come to an end.
    await scene.write([["r00000", `round ${round}`]]);
    contents.set("r00000", `round ${round}`);
    await scene.pass(limits, { steps: 2, full: true });
    expect(await scene.contents()).toEqual([...contents]);
  }
  const after = scene.backend.published.slice(from);
  const [, begun] = scene.backend.published.slice(from - 1);
  const upper = new Set(begun?.runs.filter(({ level }) => level === 1).map(({ path }) => path));
  expect(upper.size).toBeGreaterThan(5);
  expect(
    after.some(({ runs }) => !runs.some(({ path }) => upper.has(path))),
    "what was there when it began is merged",
  ).toBe(true);
  expect(after.some((manifest) => countLevels(manifest) === 1)).toBe(true);
  for (let passes = 1; ; passes++) {
    const report = await scene.pass(limits, { steps: 2, full: true });
    if (report.outcome === "idle" || !report.more) break;
    expect(passes).toBeLessThan(40);
  }
  expect(countLevels(await scene.backend.manifest())).toBe(1);
  expect(await scene.contents()).toEqual([...contents]);
});

/** As `twoLevels`; of the upper level every second one is deleted, long enough ago to be purged. */
async function withDeletions(): Promise<{ scene: Scene; expected: [string, string][] }> {
  const scene = new Scene();
  await scene.backend.initialize("store", { readOnly: false });
  await scene.write(ids(300).map((id) => [id, text("old")]));
  await scene.pass(UNITS);
  await scene.write(ids(150, 2).map((id) => [id, undefined]));
  await scene.pass({ ...UNITS, portionBytesMin: 1 }, { steps: 1 });
  expect(countLevels(await scene.backend.manifest())).toBe(2);
  const gone = new Set(ids(150, 2));
  const left = ids(300).filter((id) => !gone.has(id));
  return { scene, expected: left.map((id) => [id, text("old")]) };
}

test("a purge goes by range: its units raise the floor once, and drop what they reach", async () => {
  const { scene, expected } = await withDeletions();
  const { backend, runtime } = scene;
  const before = await backend.manifest();
  expect(before.purgeFloor).toBe(0);
  const [tombstoned] = madeBy(before);
  expect(tombstoned?.tombstones).toBe(150);
  await runtime.advance(GRACE_MS);
  const from = backend.published.length;
  let tombstones = Infinity;
  // First all lanes pass a seal, which is made after the deletions were published.
  expect((await scene.pass(UNITS, { steps: 1 })).claims).toBe(LANES);
  const sealed = await backend.manifest();
  expect(sealed).toMatchObject({ purgeFloor: 0, lastPurge: 0, sealed: before.generation });
  expect(sealed.runs).toEqual(before.runs);
  // The floor rises by itself, so that no unit is lost for its sake; nothing is dropped yet.
  expect((await scene.pass(UNITS, { steps: 1 })).publications).toBe(1);
  const raised = await backend.manifest();
  expect(raised).toMatchObject({ purgeFloor: before.clock, lastPurge: 0, draining: [0, 1] });
  expect(raised.runs).toEqual(before.runs);
  for (;;) {
    const report = await scene.pass(UNITS, { steps: 1 });
    expect(await scene.contents()).toEqual(expected);
    if (report.outcome === "idle") break;
    const { runs, purgeFloor, lastPurge } = await backend.manifest();
    expect(purgeFloor).toBe(before.clock);
    // Whoever held the deletions has lost nothing.
    expect(lastPurge).toBe(tombstoned?.since);
    const left = runs.filter(({ since }) => (since ?? 0) > before.generation);
    expect(left.reduce((sum, run) => sum + run.tombstones, 0)).toBe(0);
    tombstones = runs.reduce((sum, run) => sum + run.tombstones, 0);
  }
  expect(backend.published.length - from).toBeGreaterThan(3);
  expect(tombstones).toBe(0);
  const last = await backend.manifest();
  expect(countLevels(last)).toBe(1);
  expect(last.stats?.activeRecords).toBe(150);
});
