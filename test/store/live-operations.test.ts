/** The live log in version order: windows that overlap, segments that are gone, large ones. */
import { expect, test } from "vitest";
import { encodeSegment } from "../support/encode-segment.ts";
import { encodeOperation, type Segment } from "../../src/format/segment.ts";
import type { LogOperation } from "../../src/core/operation.ts";
import type { SegmentRead, LogRef } from "../../src/log/log.ts";
import { EMPTY_MANIFEST } from "../../src/format/manifest-codec.ts";
import { ManifestStore } from "../../src/view/manifest-store.ts";
import { NOT_LISTED, viewOf } from "../../src/view/view.ts";
import { ByteCache } from "../../src/runs/byte-cache.ts";
import { NewestClaims } from "../../src/log/newest-claims.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { LiveOperations } from "../../src/read/log-replay.ts";

const W = "0123456789abcdef";

/** A log whose segments lie in `backend`; a path that is not there is gone. */
async function logOf(segments: readonly { agent: string; clocks: number[]; bytes?: number }[]) {
  const backend = new MemoryBackend();
  await backend.initialize("log", { readOnly: false });
  const held = new Map<string, Segment>();
  const refs: LogRef[] = [];
  for (const [at, { agent, clocks, bytes: size = 10 }] of segments.entries()) {
    const operations = clocks.map((clock): LogOperation => {
      return { ts: "t", op: "set", id: `r${clock}`, clock, data: "x".repeat(size) };
    });
    const lines = operations.map((each) => encodeOperation(each, JSON.stringify(each.data)));
    const segment = { agent, writerNonce: W, schemaVersion: 1, operations };
    const { bytes, lo, hi } = encodeSegment(segment, lines);
    const path = `ops/${at}`;
    await backend.writeBlob(path, bytes);
    held.set(path, segment);
    refs.push({ key: path, path, range: undefined, lo, hi, filter: "any", bytes: bytes.length });
  }
  const log = {
    async *read(wanted: readonly LogRef[]): AsyncGenerator<SegmentRead> {
      for (const ref of wanted) {
        const there = await backend.get(ref.path);
        const segment = held.get(ref.key);
        if (there.status !== "found" || segment === undefined) yield { status: "gone", ref };
        else yield { status: "found", ref, segments: [segment] };
      }
    },
  };
  return { refs, backend, log };
}

type TestLog = Awaited<ReturnType<typeof logOf>>;

function openLog({ refs, backend, log }: TestLog): LiveOperations {
  const unused = (): never => {
    throw new Error("not used here");
  };
  const rest = {
    list: unused,
    createWriter: unused,
    offer: unused,
    pages: unused,
    deleteUnits: unused,
  };
  const engine = {
    backend,
    log: { ...rest, ...log },
    newestClaims: new NewestClaims(),
    segmentCache: new ByteCache<readonly Segment[]>(),
    manifests: new ManifestStore(backend),
  };
  const loaded = { manifest: EMPTY_MANIFEST, etag: undefined, lastModifiedMs: 0, dateMs: 0 };
  const view = viewOf({ loaded, legacy: undefined }, { ...NOT_LISTED, segments: refs });
  return new LiveOperations(engine, view, (error) => {
    throw error;
  });
}

async function clocksOf(live: LiveOperations): Promise<string[]> {
  const all: string[] = [];
  for await (const batch of live.inOrder()) {
    all.push(...batch.map(({ version }) => `${version.clock}${version.agent}`));
  }
  return all;
}

const range = (from: number, to: number, step = 1): number[] =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, at) => from + at * step);

test("segments that overlap are given in version order, whatever their sizes", async () => {
  const large = { agent: "a", clocks: range(1, 2_001, 2), bytes: 4_000 };
  const small = range(2, 2_001, 20).map((clock) => ({ agent: "b", clocks: [clock, clock + 1] }));
  const later = { agent: "c", clocks: range(1_500, 1_900), bytes: 4_000 };
  const live = openLog(await logOf([later, ...small, large]));
  await live.survey();
  const expected = [
    ...large.clocks.map((clock) => [clock, "a"] as const),
    ...small.flatMap(({ clocks }) => clocks.map((clock) => [clock, "b"] as const)),
    ...later.clocks.map((clock) => [clock, "c"] as const),
  ].toSorted(([a, x], [b, y]) => a - b || (x < y ? -1 : 1));
  expect(await clocksOf(live)).toEqual(expected.map(([clock, agent]) => `${clock}${agent}`));
});

test.each([10, 4_000])(
  "a segment that is gone ends it before its first operation, %d",
  async (bytes) => {
    const chunks = range(0, 20).map((at) => {
      return { agent: "a", clocks: range(at * 100 + 1, at * 100 + 101), bytes: 4_000 };
    });
    const gone = { agent: "b", clocks: range(1_450, 1_600), bytes };
    const log = await logOf([...chunks, gone]);
    const live = openLog(log);
    await live.survey();
    await log.backend.delete(["ops/20"]);
    const given = await clocksOf(live);
    expect([...live.gone]).toEqual(["ops/20"]);
    expect(given).toEqual(range(1, given.length + 1).map((clock) => `${clock}a`));
    expect(given.length).toBeGreaterThan(500);
    expect(given.length).toBeLessThan(1_450);
  },
);

test("one that is gone is known after the survey", async () => {
  const log = await logOf([
    { agent: "a", clocks: [1] },
    { agent: "a", clocks: [2] },
  ]);
  await log.backend.delete(["ops/0"]);
  const live = openLog(log);
  await live.survey();
  expect([...live.gone]).toEqual(["ops/0"]);
});
