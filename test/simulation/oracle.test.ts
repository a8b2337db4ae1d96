/** The oracle itself: damage done by hand must not go unseen. */
import { expect, test } from "vitest";
import { longReader } from "./actors/reader.ts";
import { type Change, Client } from "./client.ts";
import { CALM_NETWORK } from "./network.ts";
import type { Weather } from "./world.ts";
import { CALM_HAZARDS, World } from "./world.ts";

const CALM: Weather = {
  network: CALM_NETWORK,
  hazards: CALM_HAZARDS,
  pageObjectsMax: 3,
  isListUnordered: false,
  arePrivateLeases: false,
  digits: ["0"],
  limits: { logBytesMax: 1_000_000, runsMax: 4 },
  stormMs: 0,
  busyMs: 1_000,
  quietMs: 1_000,
  shortGapMs: 1_000,
  readerGapMs: 1_000,
  compactorGapMs: 1_000,
  longWriters: 0,
  longReaders: 0,
};

/** A world in which one writer's changes have been acknowledged. */
async function worldWith(...writes: readonly (readonly Change[])[]): Promise<World> {
  const world = new World("by hand", CALM);
  const process = world.spawn("writer");
  const opening = Client.open(world, process, { agentId: "writer", skipLoad: true });
  const client = await world.finish("open", 60_000, opening);
  for (const write of writes) await world.finish("write", 60_000, client?.write(write) ?? never());
  expect(world.oracle.violations).toEqual([]);
  return world;
}

async function never(): Promise<boolean> {
  throw new Error("the store did not open");
}

const record = (n: number): Change["record"] => ({ by: "hand", n });

function segments(world: World): string[] {
  return [...world.server.objects.keys()].filter((path) => path.startsWith("ops/"));
}

function rules(world: World): string[] {
  return world.oracle.violations.map(({ rule }) => rule);
}

test("a segment that is deleted before it is published is noticed at once", async () => {
  const world = await worldWith([{ id: "a", record: record(1) }]);
  for (const path of segments(world)) world.server.delete(path);
  expect(rules(world)).toEqual(["DELETE-AFTER-PUBLISH", "ACKED"]);
});

test("a key that is written a second time with other bytes is noticed", async () => {
  const world = await worldWith([{ id: "a", record: record(1) }], [{ id: "a", record: record(2) }]);
  const [first = "", second = ""] = segments(world);
  const body = world.server.objects.get(second)?.body ?? new Uint8Array();
  world.server.put(first, body, "none");
  expect(rules(world)).toContain("ONCE");
});

test("a reader that misses a part of a batch is noticed", async () => {
  const world = await worldWith([
    { id: "a", record: record(1) },
    { id: "b", record: record(2) },
  ]);
  const seen = new Map([["a", JSON.stringify(record(1))]]);
  world.oracle.checkView("reader", ["a", "b"], seen, new Map());
  expect(rules(world)).toEqual(["TORN"]);
});

test("a reader that sees a deleted record, or one that nobody wrote, is noticed", async () => {
  const world = await worldWith([{ id: "a", record: record(1) }], [{ id: "a", record: undefined }]);
  const { least } = world.oracle.mark();
  world.oracle.checkView("reader", ["a"], new Map([["a", JSON.stringify(record(1))]]), least);
  world.oracle.checkView("reader", ["a"], new Map([["a", JSON.stringify(record(9))]]), least);
  expect(rules(world)).toEqual(["RESURRECTED", "INVENTED"]);
});

test("an error that no fault explains ends the simulation", async () => {
  const world = await worldWith([{ id: "a", record: record(1) }]);
  world.server.put("ops/0/foreign.jsonl", Buffer.from("{}\n"), "none");
  await world.finish("open", 60_000, longReader(world, []));
  expect(rules(world)).toEqual(["ERROR"]);
});
