/** The order of writes across stores (PROTOCOL, "Time"): by time, as far as clocks tell it. */
import { describe, expect, test } from "vitest";
import { WriteOutcomeUnknownError } from "../../src/core/errors.ts";
import { parseSegmentPath } from "../../src/format/paths.ts";
import { Store } from "../../src/store/store.ts";
import { verify } from "../../src/store/verify.ts";
import { tempDir } from "../support/temp-dir.ts";
import { Clocks, DatedBackend, Objects, START_MS } from "./dated-backend.ts";

interface Process {
  readonly store: Store<number>;
  readonly backend: DatedBackend;
  readonly clocks: Clocks;
  readonly warnings: readonly string[];
}

async function start(
  objects: Objects,
  agentId: string,
  clocks = new Clocks(objects),
): Promise<Process> {
  const runtime = clocks.runtime();
  const backend = new DatedBackend(objects, runtime);
  const store = new Store<number>({ runtime });
  const warnings: string[] = [];
  const onWarning = (message: string): void => void warnings.push(message);
  await store.open("times", { backend, agentId, skipLoad: true, onWarning });
  return { store, backend, clocks, warnings };
}

/** Clocks of the log, lowest first. */
async function clocksIn({ memory }: Objects): Promise<number[]> {
  const clocks: number[] = [];
  for await (const { objects } of memory.list("ops/")) {
    for (const { path } of objects) clocks.push(parseSegmentPath(path)?.lo ?? 0);
  }
  return clocks.toSorted((a, b) => a - b);
}

async function valueOf(objects: Objects): Promise<number | undefined> {
  const { store } = await start(objects, "reader");
  return store.read("x");
}

describe("a write wins over what was acknowledged before it, although its store has not seen it", () => {
  test("on the medium's time", async () => {
    const objects = await Objects.open();
    const [a, b] = [await start(objects, "z"), await start(objects, "a")];
    for (let n = 1; n <= 5; n++) await a.store.set("x", n);
    await b.store.set("x", 6);
    expect(await valueOf(objects)).toBe(6);
  });

  test("on a directory", async () => {
    await using directory = await tempDir();
    const open = (agentId: string): Promise<Store<number>> =>
      Store.open<number>(directory.path, { agentId, skipLoad: true });
    const [a, b] = [await open("z"), await open("a")];
    for (let n = 1; n <= 5; n++) await a.set("x", n);
    await b.set("x", 6);
    await Promise.all([a.refresh(), b.refresh()]);
    expect([await a.read("x"), await b.read("x")]).toEqual([6, 6]);
    await Promise.all([a.close(), b.close()]);
  });
});

test("no request is made for it: a write is one PUT", async () => {
  const { store, backend } = await start(await Objects.open(), "a");
  await store.set("x", 1);
  const { lists } = backend;
  for (let n = 2; n <= 5; n++) await store.set("x", n);
  expect(backend.lists).toBe(lists);
});

test.each([7_200_000, -7_200_000])(
  "a wall clock that is %d ms off harms nobody",
  async (errorMs) => {
    const objects = await Objects.open();
    const wrong = new Clocks(objects);
    wrong.wallErrorMs = errorMs;
    const processes = [await start(objects, "z", wrong), await start(objects, "a")];
    for (let n = 0; n < 6; n++) {
      objects.trueMs += 1_100;
      await processes[n % 2]?.store.set("x", n);
      expect(await valueOf(objects)).toBe(n);
    }
    for (const clock of await clocksIn(objects)) {
      expect(Math.abs(clock / 1_024 - objects.trueMs)).toBeLessThan(8_000);
    }
  },
);

test("stores of one process depend on no clock: what one has seen counts for the next", async () => {
  const objects = await Objects.open();
  // No time is known in 1970: clocks are counted.
  objects.trueMs = 1_000_000;
  const { store: first, backend } = await start(objects, "z");
  const runtime = new Clocks(objects).runtime();
  const second = new Store<number>({ runtime });
  await second.open("times", { backend, agentId: "a", skipLoad: true });
  for (let n = 1; n <= 3; n++) await first.set("x", n);
  await second.set("x", 4);
  expect(await valueOf(objects)).toBe(4);
});

test("what is durable is always adopted, however far ahead, compacted or not", async () => {
  const objects = await Objects.open();
  objects.trueMs += 3_600_000;
  const ahead = await start(objects, "ahead");
  await ahead.store.set("x", 1);
  await ahead.store.compact();
  objects.trueMs += 120_000;
  // The grace of its segments is over.
  await ahead.store.compact();
  expect(await clocksIn(objects)).toEqual([]);
  objects.trueMs -= 3_720_000;
  const { store } = await start(objects, "a");
  await store.set("x", 2);
  expect(await valueOf(objects)).toBe(2);
});

describe("a process that was frozen", () => {
  test("looks before it writes (H4): what others wrote meanwhile is below", async () => {
    const objects = await Objects.open();
    const frozen = await start(objects, "a");
    await frozen.store.set("x", 1);
    const other = await start(objects, "z");
    frozen.clocks.freeze(20_000, "steady");
    await other.store.set("x", 2);
    const { lists } = frozen.backend;
    await frozen.store.set("x", 3);
    expect(frozen.backend.lists).toBe(lists + 1);
    expect(await valueOf(objects)).toBe(3);
  });

  test("and whose clocks both stood still rejects as outcome unknown (H6)", async () => {
    const objects = await Objects.open();
    const { store, clocks } = await start(objects, "a");
    await store.set("x", 1);
    clocks.freeze(12_000, "steady", "wall");
    await expect(store.set("x", 2)).rejects.toThrow(WriteOutcomeUnknownError);
    // It has looked since, and knows the time again.
    await store.set("x", 3);
    expect(await valueOf(objects)).toBe(3);
  });

  test.each([["steady"], []] as const)(
    "during the write itself is acknowledged: its clock was taken before (%s)",
    async (...stopped) => {
      const objects = await Objects.open();
      const { store, backend, clocks } = await start(objects, "a");
      await store.set("x", 1);
      backend.onPut = () => clocks.freeze(12_000, ...stopped);
      await store.set("x", 2);
      expect(await valueOf(objects)).toBe(2);
    },
  );
});

test("a wall clock that is set back makes a view old, not young for ever", async () => {
  const objects = await Objects.open();
  const { store, backend, clocks } = await start(objects, "a");
  await store.set("x", 1);
  clocks.wallErrorMs -= 3_600_000;
  const { lists } = backend;
  await store.set("x", 2);
  expect(backend.lists).toBeGreaterThan(lists);
});

describe("a store that one bad clock has dragged an hour ahead", () => {
  async function draggedObjects(): Promise<Objects> {
    const objects = await Objects.open();
    objects.trueMs += 3_600_000;
    const bad = await start(objects, "bad");
    await bad.store.set("x", 0);
    objects.trueMs -= 3_600_000;
    return objects;
  }

  test("keeps the order for all who know (H5), at one look a flush, and says so once", async () => {
    const objects = await draggedObjects();
    const [a, z] = [await start(objects, "a"), await start(objects, "z")];
    for (let n = 1; n <= 4; n++) {
      const { store, backend } = n % 2 === 0 ? a : z;
      const { lists } = backend;
      await store.set("x", n);
      expect(backend.lists).toBe(lists + 1);
      expect(await valueOf(objects)).toBe(n);
    }
    expect([a.warnings.length, z.warnings.length]).toEqual([1, 1]);
    expect(a.warnings[0]).toMatch(/^the clocks of this store are 3[56]\d\d s ahead of its medium/);
  });

  test("ends by itself when time has caught up", async () => {
    const objects = await draggedObjects();
    objects.trueMs += 3_700_000;
    const { store, backend, warnings } = await start(objects, "a");
    await store.set("x", 1);
    const { lists } = backend;
    await store.set("x", 2);
    expect([backend.lists, warnings]).toEqual([lists, []]);
  });

  test("is a finding of verify, and no damage (H7)", async () => {
    const objects = await draggedObjects();
    const backend = new DatedBackend(objects, new Clocks(objects).runtime());
    const report = await verify("times", { backend });
    expect(report.problems).toEqual([]);
    expect(Math.abs(report.clocksAheadMs - 3_600_000)).toBeLessThan(2_000);
    objects.trueMs += 3_600_000;
    expect((await verify("times", { backend })).clocksAheadMs).toBe(0);
  });
});

test("clocks that were counted are below every time, and writers of both kinds go on together", async () => {
  const objects = await Objects.open();
  // A machine that starts in 1970 has no time: it counts, as every program did before.
  objects.trueMs = 1_000_000;
  const old = await start(objects, "old");
  await old.store.set("x", 1);
  expect(await clocksIn(objects)).toEqual([1]);
  objects.trueMs = START_MS;
  const young = await start(objects, "young");
  await young.store.set("x", 2);
  expect((await clocksIn(objects))[1]).toBeGreaterThanOrEqual(START_MS * 1_024);
  await old.store.refresh();
  await old.store.set("x", 3);
  expect(await valueOf(objects)).toBe(3);
});
