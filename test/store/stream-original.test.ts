/** Streams of a store that the original opslog wrote, before and across its upgrade. */
import { Store as OriginalStore } from "@backloghq/opslog";
import { expect, test } from "vitest";
import { UnavailableError } from "../../src/core/errors.ts";
import type { Store } from "../../src/store/store.ts";
import { type Fixture, setUp } from "./fixture.ts";
import { directoryMedium } from "./media.ts";
import { rebuilt, taken } from "./streamed.ts";
import { watchBackend } from "./watched-backend.ts";

interface Task {
  readonly n: number;
}

/** Snapshot: z, a, m; log: a changed, m deleted, b new. */
async function written(): Promise<Fixture> {
  const fixture = await setUp(directoryMedium);
  const original = new OriginalStore<Task>();
  await original.open(fixture.medium.location, { checkpointOnClose: false });
  for (const [n, id] of ["z", "a", "m"].entries()) await original.set(id, { n });
  await original.compact();
  await original.set("a", { n: 10 });
  await original.delete("m");
  await original.set("b", { n: 11 });
  await original.close();
  return fixture;
}

const reader = ({ open }: Fixture): Promise<Store<Task>> =>
  open<Task>({ readOnly: true, skipLoad: true });

test("its snapshot in its order, then its log", async () => {
  const store = await reader(await written());
  expect((await taken(store.streamSnapshot())).map(([id]) => id)).toEqual(["z", "a", "m"]);
  const operations = await taken(store.getWalOps());
  expect(operations.map(({ op, id }) => `${op} ${id}`)).toEqual(["set a", "delete m", "set b"]);
});

test("a scan returns snapshot and log in id order, also across the upgrade", async () => {
  const fixture = await written();
  const store = await reader(fixture);
  const expected = [
    ["a", { n: 10 }],
    ["b", { n: 11 }],
    ["z", { n: 0 }],
  ];
  expect(await taken(store.scan())).toEqual(expected);
  expect(await taken(store.scan({ reverse: true, to: "z" }))).toEqual([expected[1], expected[0]]);
  expect(await taken(store.scan({ limit: 1 }))).toEqual([expected[0]]);
  {
    await using ours = await fixture.open<Task>({ gcGraceMs: 0 });
    expect(await taken(ours.scan())).toEqual(expected);
    await ours.compact();
    for (const n of [12, 13]) {
      await ours.set("b", { n });
      await ours.compact();
    }
  }
  const found = await taken(store.scan());
  expect(found.map(([id]) => id)).toEqual(["a", "b", "z"]);
});

test("undos in its log cost no read of its snapshot, and what they leave is reported", async () => {
  const fixture = await written();
  {
    await using ours = await fixture.open<Task>({ checkpointOnClose: false });
    for (let n = 0; n < 30; n++) {
      await ours.set(`undone-${n}`, { n });
      await ours.undo();
    }
  }
  const { backend, calls } = watchBackend(fixture.medium.backend());
  const store = await fixture.open<Task>({ backend, readOnly: true, skipLoad: true });
  const state = await rebuilt(store);
  expect(state).toEqual(new Map(await fixture.entries()));
  calls.length = 0;
  await taken(store.getWalOps());
  expect(calls.filter((call) => call.includes("snapshots/"))).toEqual([]);
});

test("nothing is missing when it is upgraded in between", async () => {
  const fixture = await written();
  const store = await reader(fixture);
  const state = await rebuilt(store, async () => {
    await using ours = await fixture.open<Task>();
    await ours.compact();
    await ours.set("b", { n: 12 });
    await ours.compact();
  });
  expect(state).toEqual(new Map(await fixture.entries()));
  expect(state.get("b")).toEqual({ n: 12 });
});

test("when the original makes a new snapshot in between, that is reported", async () => {
  const fixture = await written();
  const store = await reader(fixture);
  const state = rebuilt(store, async () => {
    const original = new OriginalStore<Task>();
    await original.open(fixture.medium.location);
    await original.set("b", { n: 12 });
    await original.close();
  });
  await expect(state).rejects.toThrow(UnavailableError);
  expect((await rebuilt(store)).get("b")).toEqual({ n: 12 });
});
