/** The oracle itself: damage done by hand must not go unseen. */
import { expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../src/compaction/plan.ts";
import { nextRevision, type RunEntry } from "../../src/core/version.ts";
import { encodeArchive } from "../../src/format/archive-codec.ts";
import { encodeManifest } from "../../src/format/manifest-codec.ts";
import {
  archivePath,
  encodeFilter,
  parseSegmentPath,
  segmentPath,
  streamName,
} from "../../src/format/paths.ts";
import { encodeSegment } from "../support/encode-segment.ts";
import { longReader } from "./actors/reader.ts";
import { ArchiveJudge } from "./archive-judge.ts";
import { UNTOUCHED } from "./clocks.ts";
import { type Change, Client } from "./client.ts";
import { NOBODY } from "./crowd.ts";
import { CALM_NETWORK } from "./network.ts";
import { LANES } from "../../src/core/lane.ts";
import type { Weather } from "./world.ts";
import { CALM_HAZARDS, World } from "./world.ts";
import { draft, encoded } from "../log/support.ts";

const CALM: Weather = {
  network: CALM_NETWORK,
  hazards: CALM_HAZARDS,
  disk: undefined,
  powerCutGapMs: Infinity,
  replacedGapMs: Infinity,
  isListUnordered: false,
  arePrivateLeases: false,
  digits: ["0"],
  limits: { ...DEFAULT_LIMITS, logBytesMax: 1_000_000, portionBytesMin: 1 },
  archivesInlineMax: 1,
  lanes: LANES,
  crowd: {
    gapsMs: NOBODY,
    longWriters: 0,
    longReaders: 0,
    stormMs: 0,
    busyMs: 1_000,
    quietMs: 1_000,
    pageObjectsMax: 3,
  },
  shortPasses: undefined,
  rolloutMs: Infinity,
  areSettingsMixed: false,
  isDivided: false,
  isOriginal: false,
  http: undefined,
  clocks: UNTOUCHED,
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

test("of an object that several flushes share, each operation is looked for", async () => {
  const world = await worldWith([{ id: "a", record: record(1) }]);
  const shared = [draft(["b"], 5, record(2)), draft(["c"], 5, record(3))].map(
    ({ lines, countsUntilMs: _until, ...one }, at) => {
      return encodeSegment({ ...one, writerNonce: String(at).repeat(16) }, lines, 2);
    },
  );
  const filter = encodeFilter(["b", "c"]);
  const stream = streamName({ agentId: "shared", openMs: 1, rand: "0".repeat(16) });
  const path = segmentPath({ stream, n: 1, lo: 5, hi: 5, filter });
  world.server.put(path, Buffer.concat(shared.map(({ bytes }) => bytes)), "none");
  expect([rules(world), world.oracle.counts.sharedFlushes]).toEqual([[], 1]);
  world.server.delete(path);
  expect(rules(world)).toEqual(["DELETE-AFTER-PUBLISH", "DELETE-AFTER-PUBLISH"]);
});

test("a record that has not the form of the schema version it is stored under is noticed", async () => {
  const world = await worldWith([{ id: "a", record: record(1) }]);
  const { lines, countsUntilMs: _until, ...one } = draft(["b"], 5, record(2));
  const { bytes, filter } = encodeSegment(
    { ...one, schemaVersion: 2, writerNonce: "0".repeat(16) },
    lines,
  );
  const stream = streamName({ agentId: "new", openMs: 1, rand: "0".repeat(16) });
  world.server.put(segmentPath({ stream, n: 1, lo: 5, hi: 5, filter }), bytes, "none");
  expect(rules(world)).toEqual(["SCHEMA"]);
});

test("a key that is written a second time with other bytes is noticed", async () => {
  const world = await worldWith([{ id: "a", record: record(1) }]);
  const [first = ""] = segments(world);
  const { lo = 0 } = parseSegmentPath(first) ?? {};
  world.server.put(first, encoded(["a"], lo).bytes, "none");
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

/** Makes a manifest current that names such an archive. */
function publishArchive(world: World, period: string, entries: readonly RunEntry[]): void {
  const manifest = world.oracle.truth.manifest();
  const base = manifest.generation;
  const path = archivePath({ period, base, rand: "0".repeat(16) });
  world.server.put(path, Buffer.concat([...encodeArchive({ period, base, entries })]), "none");
  const archive = [
    ...manifest.archive,
    { period, path, records: entries.length, sha256: "0".repeat(64) },
  ];
  const next = { ...manifest, generation: base + 1, nonce: `by hand ${base}`, archive };
  world.server.put("manifest.json", encodeManifest(next), "none");
}

/** What the log holds of "a". */
function written(world: World): RunEntry {
  const { clock = 0, agent = "", w = "", text } = world.oracle.truth.winners().get("a") ?? {};
  return { id: "a", version: { clock, agent, writerNonce: w }, schemaVersion: 1, text };
}

test("an archive of what nobody wrote, or nobody asked for, is noticed", async () => {
  const world = await worldWith([{ id: "a", record: record(3) }]);
  const { version } = written(world);
  const invented = { id: "a", version, schemaVersion: 1, text: '{"by":"hand","n":4}' };
  publishArchive(world, "0 of 3: hand", [invented]);
  expect(rules(world)).toEqual(["INVENTED"]);
  const other = await worldWith([{ id: "a", record: record(3) }]);
  publishArchive(other, "1 of 3: hand", [written(other)]);
  expect(rules(other)).toContain("UNASKED");
});

test("a record that is archived and live, or archived twice, is noticed", async () => {
  const world = await worldWith([{ id: "a", record: record(3) }]);
  publishArchive(world, "0 of 3: hand", [written(world)]);
  expect(rules(world)).toEqual(["BOTH"]);
  publishArchive(world, "0 of 3: again", [written(world)]);
  expect(rules(world)).toContain("TWICE");
});

test("a version of another revision than was written is noticed", async () => {
  const world = await worldWith([{ id: "a", record: record(3) }]);
  const { version, ...entry } = written(world);
  publishArchive(world, "0 of 3: hand", [{ ...entry, version: nextRevision(version) }]);
  expect(rules(world)).toEqual(["INVENTED"]);
});

test("a tombstone that is nobody's deletion and no archive's is noticed", async () => {
  const world = await worldWith([{ id: "a", record: record(3) }]);
  const { version } = written(world);
  const winners = new Map([
    [
      "a",
      {
        clock: version.clock,
        agent: version.agent,
        w: version.writerNonce,
        rev: 0,
        schema: 1,
        text: undefined,
      },
    ],
  ]);
  const { ledger, truth } = world.oracle;
  const found: string[] = [];
  const fail = (rule: string): void => void found.push(rule);
  const judge = new ArchiveJudge({ ledger, truth, fail, onArchived: () => undefined });
  judge.checkWinners("now", winners);
  expect(found).toEqual(["NEITHER"]);
});

test("a reader that still sees what was archived is noticed", async () => {
  const world = await worldWith([{ id: "a", record: record(3) }]);
  const text = JSON.stringify(record(3));
  publishArchive(world, "0 of 3: hand", [written(world)]);
  world.oracle.violations.length = 0;
  world.oracle.checkView("reader", ["a"], new Map(), world.oracle.mark().least);
  expect(rules(world)).toEqual([]);
  world.oracle.checkView("reader", ["a"], new Map([["a", text]]), world.oracle.mark().least);
  expect(rules(world)).toEqual(["RESURRECTED"]);
});

test("an archive that vanishes, and a number that is not right, are noticed", async () => {
  const world = await worldWith([{ id: "a", record: record(3) }]);
  publishArchive(world, "0 of 3: hand", [written(world)]);
  world.oracle.violations.length = 0;
  world.oracle.archived("hand", "0 of 3: hand", 2);
  expect(rules(world)).toEqual(["ARCHIVE"]);
  for (const path of world.server.objects.keys()) {
    if (path.startsWith("archive/")) world.server.delete(path);
  }
  expect(rules(world)).toContain("ORPHAN");
});

test("an error that no fault explains ends the simulation", async () => {
  const world = await worldWith([{ id: "a", record: record(1) }]);
  world.server.put("ops/0/foreign.jsonl", Buffer.from("{}\n"), "none");
  await world.finish("open", 60_000, longReader(world, []));
  expect(rules(world)).toEqual(["ERROR"]);
});
