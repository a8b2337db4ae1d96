/** Stores whose runs are described in catalogues: what reads and publications take, and damage. */
import { describe, expect, test } from "vitest";
import { CostMeter } from "../../src/core/cost-meter.ts";
import { CorruptionError } from "../../src/core/errors.ts";
import { allRuns } from "../../src/format/levels.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import { MeteredBackend } from "../../src/storage/metered-backend.ts";
import { verify } from "../../src/store/verify.ts";
import { ManifestStore } from "../../src/view/manifest-store.ts";
import { GRACE_MS, ids, MANIFEST, Scene, text, twoLevels, UNITS } from "./units-support.ts";

const LIMITS = { ...UNITS, inlineBytesMax: 0, catalogueBytesMax: 1_500 };

/** Two levels, both in catalogues. */
async function catalogued(): Promise<Awaited<ReturnType<typeof twoLevels>>> {
  const { scene, expected } = await twoLevels();
  const [id, value] = expected[7] ?? ["", ""];
  await scene.write([[id, value]]);
  await scene.pass(LIMITS, { steps: 1 });
  const { runs, catalogues } = await scene.backend.manifest();
  expect(runs).toEqual([]);
  expect(catalogues.length).toBeGreaterThan(8);
  return { scene, expected };
}

/** Paths that are read from now on. */
function recordGets({ backend }: Scene): string[] {
  const paths: string[] = [];
  const get = backend.get.bind(backend);
  backend.get = (path, options) => {
    paths.push(path);
    return get(path, options);
  };
  return paths;
}

/** With those in catalogues. */
async function openedRuns({ backend }: Scene): Promise<RunInfo[]> {
  const manifests = new ManifestStore(backend);
  return allRuns((await manifests.open(await manifests.load())).manifest);
}

const kindOf = (path: string): string => path.replace(/^.*\./, "");

test("a cold read takes one more trip: of each level the catalogue that admits the id", async () => {
  const { scene, expected } = await catalogued();
  const paths = recordGets(scene);
  const reader = await scene.reader({ skipLoad: true });
  paths.length = 0;
  const [id = "", value] = expected[151] ?? [];
  expect(await reader.read(id)).toBe(value);
  const kinds = paths.map(kindOf);
  expect(kinds.filter((kind) => kind === "catalogue").length).toBeLessThanOrEqual(3);
  expect(kinds.indexOf("index")).toBeGreaterThan(kinds.lastIndexOf("catalogue"));
  paths.length = 0;
  const [other = ""] = expected[153] ?? [];
  expect(await reader.read(other)).toBe(expected[153]?.[1]);
  expect(paths.map(kindOf), "what was read stays").not.toContain("catalogue");
});

test("a read of an id that no catalogue admits takes no request", async () => {
  const { scene } = await catalogued();
  const reader = await scene.reader({ skipLoad: true });
  const paths = recordGets(scene);
  expect(await reader.read("a")).toBeUndefined();
  expect(paths).toEqual([]);
});

test("a scan reads only catalogues of its range, when their turn comes", async () => {
  const { scene, expected } = await catalogued();
  const reader = await scene.reader({ skipLoad: true });
  const paths = recordGets(scene);
  const found: unknown[] = [];
  for await (const entry of reader.scan({ from: "r00100", limit: 3 })) found.push(entry);
  expect(found).toEqual(expected.slice(100, 103));
  const total = (await scene.backend.manifest()).catalogues.length;
  const read = paths.filter((path) => path.endsWith(".catalogue")).length;
  expect(read).toBeLessThan(total / 2);
});

test("a unit writes few catalogues anew, and the replaced ones are deleted after the grace", async () => {
  const { scene, expected } = await catalogued();
  const before = await scene.backend.manifest();
  await scene.pass(LIMITS, { steps: 1, full: true });
  const after = await scene.backend.manifest();
  const known = new Set(before.catalogues.map(({ path }) => path));
  const named = new Set(after.catalogues.map(({ path }) => path));
  const gone = before.catalogues.filter(({ path }) => !named.has(path));
  expect(after.catalogues.filter(({ path }) => !known.has(path)).length).toBeLessThan(12);
  expect(gone.length).toBeGreaterThan(0);
  const retired = after.retired.map(({ path }) => path);
  for (const { path } of gone) expect(retired).toContain(path);
  await scene.runtime.advance(GRACE_MS * 12);
  for (let pass = 0; pass < 3; pass++) await scene.pass(LIMITS);
  for (const { path } of gone) {
    expect(await scene.backend.get(path)).toMatchObject({ status: "absent" });
  }
  expect(await scene.contents()).toEqual(expected);
  expect((await verify("store", { backend: scene.backend })).problems).toEqual([]);
});

test("a store with few runs again has none in catalogues", async () => {
  const { scene, expected } = await catalogued();
  await scene.pass({ runBytesMax: 1_000_000 }, { full: true });
  const { runs, catalogues } = await scene.backend.manifest();
  expect(catalogues).toEqual([]);
  expect(runs.length).toBe(1);
  expect(await scene.contents()).toEqual(expected);
});

test("a reader whose catalogue was replaced and deleted continues under the new manifest", async () => {
  const { scene, expected } = await catalogued();
  // As of another process: it has none of what this one has read.
  const backend = new MeteredBackend(scene.backend, new CostMeter());
  const reader = await scene.reader({ skipLoad: true, backend });
  const changed = expected.map(
    ([id], at) => [id, at % 9 === 0 ? text("later") : undefined] as const,
  );
  await scene.write(changed.filter(([, value]) => value !== undefined));
  const { catalogues } = await scene.backend.manifest();
  await scene.pass(LIMITS, { full: true });
  await scene.backend.delete(catalogues.map(({ path }) => path));
  expect(await reader.read("r00144")).toBe(text("later"));
  expect(await reader.read("r00145")).toBe(expected[145]?.[1]);
  expect((await scene.contents()).length).toBe(300);
});

test("records of one catalogue come in the order of their ids, whichever run answers first", async () => {
  const scene = new Scene();
  await scene.backend.initialize("store", { readOnly: false });
  const expected = ids(100).map((id): [string, string] => [id, text("kept")]);
  await scene.write(expected);
  await scene.pass({ ...LIMITS, catalogueBytesMax: 1_000_000 });
  const { runs, catalogues } = await scene.backend.manifest();
  expect([runs.length, catalogues.length]).toEqual([0, 1]);
  const first = (await openedRuns(scene))[0]?.path;
  const get = scene.backend.get.bind(scene.backend);
  scene.backend.get = async (path, options) => {
    const found = await get(path, options);
    if (path === first) for (let turn = 0; turn < 200; turn++) await Promise.resolve();
    return found;
  };
  const reader = await scene.reader({
    backend: new MeteredBackend(scene.backend, new CostMeter()),
  });
  expect([...reader.entries()]).toEqual(expected);
});

test("a pass whose catalogues are replaced again and again has lost, and fails with nothing", async () => {
  const { scene, expected } = await catalogued();
  await scene.write([["z", "last"]]);
  const get = scene.backend.get.bind(scene.backend);
  let replaced = 0;
  let isNested = false;
  scene.backend.get = async (path, options) => {
    if (path.endsWith(".catalogue") && replaced < 2 && !isNested) {
      isNested = true;
      const { catalogues } = await scene.backend.manifest();
      // Of ids on both sides of all others, so that all are merged.
      await scene.write(["a", "y"].map((side) => [`${side}${replaced}`, "in between"] as const));
      replaced++;
      await scene.pass(LIMITS, { task: { kind: "log", index: 0, of: 1 } });
      await scene.pass(LIMITS, { task: { kind: "units", index: 0, of: 1 }, full: true });
      const named = new Set((await scene.backend.manifest()).catalogues.map((one) => one.path));
      const gone = catalogues.filter((one) => !named.has(one.path));
      expect(gone.length).toBeGreaterThan(0);
      await scene.backend.delete(gone.map((one) => one.path));
      isNested = false;
    }
    return get(path, options);
  };
  const over = new MeteredBackend(scene.backend, new CostMeter());
  expect(await scene.pass(LIMITS, { over })).toMatchObject({ outcome: "lost" });
  expect(replaced).toBe(2);
  await scene.pass(LIMITS);
  const between = (side: string): [string, string][] =>
    [0, 1].map((n) => [`${side}${n}`, "in between"]);
  expect(await scene.contents()).toEqual([
    ...between("a"),
    ...expected,
    ...between("y"),
    ["z", "last"],
  ]);
});

describe("damage of a catalogue", () => {
  const damages: Record<string, (body: Buffer, other: Buffer) => Buffer | undefined> = {
    "a changed byte": (body) => Buffer.from(String(body).replace('"records":', '"record$":')),
    "the content of another": (_, other) => other,
    "nothing in it": () => Buffer.alloc(0),
    "it is gone": () => undefined,
  };

  test.each(Object.keys(damages))("%s", async (what) => {
    const { scene, expected } = await catalogued();
    const { backend } = scene;
    const { catalogues } = await backend.manifest();
    const named = catalogues.find(({ from, to }) => from <= "r00150" && "r00150" < to);
    const path = named?.path ?? "";
    const other = catalogues.find((each) => each.path !== path)?.path ?? "";
    const read = async (from: string): Promise<Buffer> => {
      const found = await backend.get(from);
      if (found.status !== "found") throw new Error(`${from} is not there`);
      return Buffer.from(found.body);
    };
    const whole = await read(path);
    const damaged = damages[what]?.(whole, await read(other));
    await backend.delete([path]);
    if (damaged !== undefined) await backend.put(path, damaged, "none");

    const reader = await scene.reader({ skipLoad: true });
    const error = await reader.read("r00150").catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CorruptionError);
    expect(error).toMatchObject({ path });
    await expect(scene.contents()).rejects.toThrow(path);
    await expect(scene.reader()).rejects.toThrow(path);
    await scene.write([["z", "last"]]);
    await expect(scene.pass(LIMITS)).rejects.toThrow(path);
    const { problems, garbage } = await verify("store", { backend });
    expect(problems.map((problem) => problem.path)).toEqual([path]);
    expect(garbage).toEqual([]);

    await backend.delete([path]);
    await backend.put(path, whole, "none");
    await scene.pass(LIMITS);
    expect(await scene.contents()).toEqual([...expected, ["z", "last"]]);
    const found = await backend.get(MANIFEST);
    expect(found.status).toBe("found");
  });
});
