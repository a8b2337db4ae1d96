/** Writers of one process whose flushes share objects. */
import { describe, expect, onTestFinished, test } from "vitest";
import { CostMeter } from "../../src/core/cost-meter.ts";
import {
  BudgetExceededError,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "../../src/core/errors.ts";
import { decodeSegments, type Segment } from "../../src/format/segment-codec.ts";
import { filterAdmits, filterHash, parseSegmentPath } from "../../src/format/paths.ts";
import { FlushGroup, type Member } from "../../src/log/flush-group.ts";
import type { LogWriter, SegmentDraft } from "../../src/log/log.ts";
import { ObjectLog } from "../../src/log/object-log.ts";
import type { Precondition, PutOptions, PutResult } from "../../src/storage/backend.ts";
import { Deadline } from "../../src/storage/deadline.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { MeteredBackend } from "../../src/storage/metered-backend.ts";
import { manualRuntime } from "../support/manual-runtime.ts";
import { draft, encoded } from "./support.ts";

const LINGER_MS = 10;

class SlowBackend extends MemoryBackend {
  readonly sent: { readonly path: string; readonly timeoutMs: number | undefined }[] = [];
  /** What a put does, for a test to hold up or to change. */
  onPut = (_path: string, land: () => Promise<PutResult>): Promise<PutResult> => land();

  override put(
    path: string,
    body: Uint8Array,
    precondition: Precondition,
    { timeoutMs }: PutOptions = {},
  ): Promise<PutResult> {
    this.sent.push({ path, timeoutMs });
    return this.onPut(path, () => super.put(path, body, precondition));
  }
}

async function scene() {
  const runtime = manualRuntime();
  const backend = new SlowBackend({ runtime });
  await backend.initialize("x", { readOnly: false });
  const group = new FlushGroup(runtime, { lingerMs: LINGER_MS, writeTimeoutMs: 20_000 });
  const join = (member: Partial<Member> = {}): LogWriter =>
    group.join({ backend, deadline: undefined, ...member });
  const log = new ObjectLog(backend, runtime, { writeTimeoutMs: 20_000 });
  const objects = async (): Promise<Segment[][]> => {
    const found: Segment[][] = [];
    for await (const read of log.read((await log.list()).segments)) {
      if (read.status === "found") found.push([...read.segments]);
    }
    return found;
  };
  return { runtime, backend, join, objects };
}

/** The draft of a store of its own. */
function draftOf(agent: string, id: string, clock: number): SegmentDraft {
  return { ...draft([id], clock), agent };
}

/** Puts wait for a test to let them go. */
function holdPuts(backend: SlowBackend): (() => void)[] {
  const held: (() => void)[] = [];
  backend.onPut = async (_, land) => {
    await new Promise<void>((resolve) => held.push(resolve));
    return land();
  };
  onTestFinished(() => held.forEach((letGo) => letGo()));
  return held;
}

describe("flushes of one moment", () => {
  test("share one object, each as a segment with its own agent, clocks and w", async () => {
    const { backend, join, objects } = await scene();
    const drafts = [draftOf("a", "x", 7), draftOf("b", "y", 3), draftOf("c", "z", 7)];
    const written = await Promise.all(drafts.map((one) => join().write(one)));

    expect(backend.sent).toHaveLength(1);
    const [path = ""] = backend.sent.map((put) => put.path);
    const name = parseSegmentPath(path);
    expect(name).toMatchObject({ n: 1, lo: 3, hi: 7 });
    const admitted = ["x", "y", "z"].map((id) => filterAdmits(name?.filter ?? "any", filterHash(id))); // prettier-ignore
    expect([name?.filter === "any", ...admitted]).toEqual([false, true, true, true]);
    const [segments = []] = await objects();
    expect(segments.map(({ agent, w, operations }) => [agent, w, operations[0]?.id])).toEqual([
      ["a", written[0]?.w, "x"],
      ["b", written[1]?.w, "y"],
      ["c", written[2]?.w, "z"],
    ]);
    expect(new Set(written.map(({ w }) => w)).size).toBe(3);
  });

  test("are told where their own part lies: it can be read alone", async () => {
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
    const drafts = [{ ...draftOf("a", "x", 7), viewMs: 900 }, { ...draftOf("b", "y", 3), viewMs: 400 }]; // prettier-ignore
    const written = await Promise.all(drafts.map((one) => join().write(one)));
    expect(written.map(({ oldestViewMs }) => oldestViewMs)).toEqual([400, 400]);
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
  expect([one.w === three.w, one.w === two.w]).toEqual([true, false]);
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

describe("a deadline", () => {
  test("that passes before a flush has left: nothing was written, the others are not disturbed", async () => {
    const { runtime, backend, join, objects } = await scene();
    const held = holdPuts(backend);
    const first = join().write(draft(["a"], 1));
    await runtime.advance(0);
    const deadline = deadlineIn(runtime, 5);
    const late = join({ deadline }).write(draft(["late"], 1));
    const outcome = expect(late).rejects.toThrow(/not sent before the deadline/);
    const other = join().write(draft(["b"], 1));
    await runtime.advance(5);
    await outcome;
    await expect(late).rejects.toBeInstanceOf(UnavailableError);
    held[0]?.();
    await runtime.advance(0);
    held[1]?.();
    await Promise.all([first, other]);
    const ids = (await objects()).flat().flatMap(({ operations }) => operations.map(({ id }) => id)); // prettier-ignore
    expect(ids.toSorted()).toEqual(["a", "b"]);
  });

  test("that passes while it is under way: only its own outcome is unknown", async () => {
    const { runtime, backend, join } = await scene();
    const held = holdPuts(backend);
    const deadline = deadlineIn(runtime, 5_000);
    const late = join({ deadline }).write(draft(["late"], 1));
    const outcome = expect(late).rejects.toThrow(/put ops\/.* not confirmed before the deadline/);
    const other = join().write(draft(["b"], 1));
    await runtime.advance(0);
    await runtime.advance(5_000);
    await outcome;
    await expect(late).rejects.toBeInstanceOf(WriteOutcomeUnknownError);
    held[0]?.();
    expect((await other).ref.path).toBe(backend.sent[0]?.path);
  });

  test("gives the request the longest that any of them may wait", async () => {
    const { runtime, backend, join } = await scene();
    const members = [3_000, 7_000].map((ms) => ({ deadline: deadlineIn(runtime, ms) }));
    await Promise.all(members.map((member) => join(member).write(draft(["a"], 1))));
    await join({ deadline: deadlineIn(runtime, 60_000) }).write(draft(["a"], 1));
    expect(backend.sent.map(({ timeoutMs }) => timeoutMs)).toEqual([7_000, 20_000]);
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
    expect((await objects()).map((segments) => segments.map(({ agent }) => agent))).toEqual([["agent-1", "agent-2"]]); // prettier-ignore
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
  const ws = [...before, ...after].map(({ w }) => w);
  expect(new Set(ws).size).toBe(6);
});

function deadlineIn(runtime: ReturnType<typeof manualRuntime>, ms: number): Deadline {
  const endMs = runtime.nowMs() + ms;
  const deadline = new Deadline(runtime, () => endMs - runtime.nowMs());
  onTestFinished(() => deadline.stop());
  return deadline;
}
