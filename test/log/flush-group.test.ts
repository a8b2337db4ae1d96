/** Writers of one process whose flushes share objects. */
import { describe, expect, test } from "vitest";
import { CostMeter } from "../../src/core/cost-meter.ts";
import {
  BudgetExceededError,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "../../src/core/errors.ts";
import { decodeSegments } from "../../src/format/segment-decoder.ts";
import { filterAdmits, filterHash, parseSegmentPath } from "../../src/format/paths.ts";
import { FlushGroup } from "../../src/log/flush-group.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { MeteredBackend } from "../../src/storage/metered-backend.ts";
import { manualRuntime } from "../support/manual-runtime.ts";
import { draftOf, holdPuts, LINGER_MS, scene } from "./group-support.ts";
import { draft, encoded } from "./support.ts";

describe("flushes of one moment", () => {
  test("share one object, each as a segment with its own agent, clocks and w", async () => {
    const { backend, join, objects } = await scene();
    const drafts = [draftOf("a", "x", 7), draftOf("b", "y", 3), draftOf("c", "z", 7)];
    const written = await Promise.all(drafts.map((one) => join().write(one)));

    expect(backend.sent).toHaveLength(1);
    const [path = ""] = backend.sent.map((put) => put.path);
    const name = parseSegmentPath(path);
    expect(name).toMatchObject({ n: 1, lo: 3, hi: 7 });
    const admitted = ["x", "y", "z"].map((id) =>
      filterAdmits(name?.filter ?? "any", filterHash(id)),
    );
    expect([name?.filter === "any", ...admitted]).toEqual([false, true, true, true]);
    const [segments = []] = await objects();
    expect(
      segments.map(({ agent, writerNonce: w, operations }) => [agent, w, operations[0]?.id]),
    ).toEqual([
      ["a", written[0]?.writerNonce, "x"],
      ["b", written[1]?.writerNonce, "y"],
      ["c", written[2]?.writerNonce, "z"],
    ]);
    expect(new Set(written.map(({ writerNonce: w }) => w)).size).toBe(3);
  });

  test("return where their own part lies: it can be read alone", async () => {
    const { backend, join } = await scene();
    const drafts = [draftOf("a", "x", 7), draftOf("b", "y", 3)];
    const written = await Promise.all(drafts.map((one) => join().write(one)));
    for (const [at, { ref }] of written.entries()) {
      const bytes = await backend.get(ref.path, { range: ref.range });
      const own = bytes.status === "found" ? decodeSegments(bytes.body, ref) : [];
      expect(own.map(({ operations }) => operations)).toEqual([drafts[at]?.operations]);
    }
    expect(new Set(written.map(({ ref }) => ref.key)).size).toBe(2);
    expect(written.some(({ ref }) => ref.key === ref.path)).toBe(false);
  });

  test("count together: from the oldest of their views on", async () => {
    const { join } = await scene();
    const drafts = [
      { ...draftOf("a", "x", 7), countsUntilMs: 900 },
      { ...draftOf("b", "y", 3), countsUntilMs: 400 },
    ];
    const written = await Promise.all(drafts.map((one) => join().write(one)));
    expect(written.map(({ countsUntilMs }) => countsUntilMs)).toEqual([400, 400]);
  });

  test("share an object only as long as its name can list the ids inside", async () => {
    const { backend, join } = await scene();
    const flushes = Array.from({ length: 40 }, (_, at) => join().write(draft([`id-${at}`], 1)));
    const large = join().write(
      draft(
        Array.from({ length: 50 }, (_, at) => `large-${at}`),
        1,
      ),
    );
    await Promise.all([...flushes, large]);
    const filters = backend.sent.map(({ path }) => parseSegmentPath(path)?.filter);
    expect(
      filters.map((filter) => (filter === "any" ? filter : (filter?.length ?? 0) / 6)),
    ).toEqual([32, 8, "any"]);
  });

  test("take several objects when they are too large for one", async () => {
    const { backend, join, objects } = await scene();
    const large = "x".repeat(5 * 1024 * 1024);
    const drafts = ["a", "b", "c"].map((id) => draft([id], 1, large));
    await Promise.all(drafts.map((one) => join().write(one)));
    expect(backend.sent).toHaveLength(3);
    expect((await objects()).map((segments) => segments.length)).toEqual([1, 1, 1]);
  });

  test("fail together, each with the outcome of the object", async () => {
    const { backend, join } = await scene();
    for (const error of [new UnavailableError("down"), new WriteOutcomeUnknownError("lost")]) {
      backend.onPut = () => Promise.reject(error);
      const outcomes = await Promise.allSettled([
        join().write(draftOf("a", "x", 1)),
        join().write(draftOf("b", "y", 1)),
      ]);
      expect(outcomes).toEqual(outcomes.map(() => ({ status: "rejected", reason: error })));
    }
  });
});

test("a flush alone is an object like any other, under one stream for the process", async () => {
  const { join, objects } = await scene();
  const writer = join();
  const one = await writer.write(draft(["a"], 1));
  const two = await join().write(draft(["b"], 1));
  const three = await writer.write(draft(["c"], 2));
  expect(one.ref).toMatchObject({ key: one.ref.path, range: undefined });
  const streams = [one, two, three].map(({ ref }) => parseSegmentPath(ref.path)?.stream);
  expect(new Set(streams).size).toBe(1);
  expect(new Set([one.writerNonce, two.writerNonce, three.writerNonce]).size).toBe(3);
  expect((await objects()).map((segments) => segments.length)).toEqual([1, 1, 1]);
});

describe("while a flush is under way", () => {
  test("the others wait for it, and leave together when it is back", async () => {
    const { runtime, backend, join, objects } = await scene();
    const held = holdPuts(backend);
    const first = join().write(draft(["a"], 1));
    await runtime.advance(0);
    const others = ["b", "c"].map((id) => join().write(draft([id], 1)));
    await runtime.advance(LINGER_MS - 1);
    expect(backend.sent).toHaveLength(1);
    held[0]?.();
    await first;
    await runtime.advance(0);
    expect(backend.sent).toHaveLength(2);
    held[1]?.();
    await Promise.all(others);
    expect((await objects()).map((segments) => segments.length)).toEqual([1, 2]);
    expect(runtime.waitsMs).toEqual([]);
  });

  test("they wait no longer than lingerMs", async () => {
    const { runtime, backend, join } = await scene();
    const held = holdPuts(backend);
    const writes = [join().write(draft(["a"], 1))];
    await runtime.advance(0);
    writes.push(join().write(draft(["b"], 1)), join().write(draft(["c"], 1)));
    await runtime.advance(LINGER_MS);
    expect(backend.sent).toHaveLength(2);
    for (const letGo of held) letGo();
    await Promise.all(writes);
  });

  test("one that comes when the last has lingered leaves at once", async () => {
    const { runtime, backend, join } = await scene();
    const held = holdPuts(backend);
    const writes = [join().write(draft(["a"], 1))];
    await runtime.advance(0);
    await runtime.advance(LINGER_MS);
    writes.push(join().write(draft(["b"], 1)));
    await runtime.advance(0);
    expect(backend.sent).toHaveLength(2);
    for (const letGo of held) letGo();
    await Promise.all(writes);
  });
});

describe("the cost of an object", () => {
  test("is the first one's, and where its budget does not allow it, the next one's", async () => {
    const { backend, join, objects } = await scene();
    const meters = [new CostMeter(), new CostMeter(), new CostMeter()];
    const writers = meters.map((meter, at) => {
      const budget = { requests: at === 0 ? 0 : 9, onBreach: "throw" } as const;
      const guard = { budget, onWarning: () => undefined };
      return join({ backend: new MeteredBackend(backend, meter, guard) });
    });
    const outcomes = await Promise.allSettled(
      writers.map((writer, at) => writer.write(draftOf(`agent-${at}`, "x", 1))),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
    expect(outcomes[0]).toMatchObject({ reason: expect.any(BudgetExceededError) });
    expect(meters.map(({ cost }) => cost.requests.put)).toEqual([0, 1, 0]);
    expect((await objects()).map((segments) => segments.map(({ agent }) => agent))).toEqual([
      ["agent-1", "agent-2"],
    ]);
  });
});

test("clones of a process: another stream, and another w for every writer of the group", async () => {
  const { backend, join } = await scene();
  const writers = [join(), join(), join()];
  const write = (clock: number, some = writers) =>
    Promise.all(some.map((writer, at) => writer.write(draftOf(`agent-${at}`, "x", clock))));
  const before = await write(1);
  const theirs = encoded(["theirs"], 2).bytes;
  let cloned: string | undefined;
  backend.onPut = async (path, land) => {
    if (cloned !== undefined) return land();
    cloned = path;
    await MemoryBackend.prototype.put.call(backend, path, theirs, "none");
    return land();
  };
  await write(2, writers.slice(0, 2));
  const after = await write(3);
  expect(theirs.equals(await backend.readBlob(cloned ?? ""))).toBe(true);
  const ws = [...before, ...after].map(({ writerNonce: w }) => w);
  expect(new Set(ws).size).toBe(6);
});

test("clones of a process that share objects with others have other versions", async () => {
  const { backend } = await scene();
  // The same dice and the same clock.
  const clones = [0, 1].map(() => {
    const group = new FlushGroup(manualRuntime(), { lingerMs: LINGER_MS, writeTimeoutMs: 20_000 });
    return [0, 1].map(() => group.join({ backend, deadline: undefined }));
  });
  const [left, right] = clones;
  const alone = await left?.[0]?.write(draft(["x"], 5, "left"));
  const [shared] = await Promise.all([
    right?.[0]?.write(draft(["x"], 5, "right")),
    right?.[1]?.write(draftOf("b", "y", 5)),
  ]);
  expect(alone?.ref.path).not.toBe(shared?.ref.path);
  expect(alone?.writerNonce).not.toBe(shared?.writerNonce);
});
