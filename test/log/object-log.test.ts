import { describe, expect, test } from "vitest";
import { Deferred } from "../../src/core/deferred.ts";
import {
  FormatVersionError,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "../../src/core/errors.ts";
import { parseSegmentPath, segmentPath } from "../../src/format/paths.ts";
import { decodeSegment } from "../../src/format/segment-decoder.ts";
import type { Segment } from "../../src/format/segment.ts";
import type { Log } from "../../src/log/log.ts";
import { ObjectLog } from "../../src/log/object-log.ts";
import type {
  GetResult,
  ListOptions,
  ListPage,
  Precondition,
  PutResult,
} from "../../src/storage/backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { manualRuntime } from "../support/manual-runtime.ts";
import { takeAll } from "./log-files.ts";
import { draft, encoded } from "./support.ts";

/** Memory with a say in what puts and gets come to. */
class ScriptedBackend extends MemoryBackend {
  onPut: (path: string, land: () => Promise<PutResult>) => Promise<PutResult> = (_, land) => land();
  onGet: (path: string, read: () => Promise<GetResult>) => Promise<GetResult> = (_, read) => read();
  readonly lists: string[] = [];

  override put(path: string, body: Uint8Array, precondition: Precondition): Promise<PutResult> {
    return this.onPut(path, () => super.put(path, body, precondition));
  }

  override get(path: string): Promise<GetResult> {
    return this.onGet(path, () => super.get(path));
  }

  override list(prefix: string, options?: ListOptions): AsyncGenerator<ListPage> {
    this.lists.push(prefix);
    return super.list(prefix, options);
  }
}

async function scene(): Promise<{ backend: ScriptedBackend; log: Log; open(): Log }> {
  const runtime = manualRuntime();
  const backend = new ScriptedBackend({ runtime });
  await backend.initialize("x", { readOnly: false });
  const open = (): Log => new ObjectLog(backend, runtime, { writeTimeoutMs: 1_000 });
  return { backend, log: open(), open };
}

async function readAll(log: Log): Promise<Segment[]> {
  const found: Segment[] = [];
  for await (const read of log.read((await log.list()).segments)) {
    if (read.status === "found") found.push(...read.segments);
  }
  return found;
}

/** Sends the request although the answer will be another. */
async function conflictAfter(work: () => Promise<unknown>): Promise<PutResult> {
  await work();
  return { status: "conflict", dateMs: 5 };
}

describe("a writer", () => {
  test("writes one object per flush, and its name shows what is inside", async () => {
    const { backend, log } = await scene();
    const writer = log.createWriter("web-7");
    const one = await writer.write(draft(["a", "b"], 5));
    const two = await writer.write(draft(["c"], 9));
    const names = [one, two].map(({ ref }) => parseSegmentPath(ref.path));
    expect(names).toMatchObject([
      { n: 1, lo: 5, hi: 6 },
      { n: 2, lo: 9, hi: 9 },
    ]);
    expect(names[0]?.stream).toBe(names[1]?.stream);
    expect(names[0]?.stream).toMatch(/^agent-web_7-\d+-[0-9a-f]{16}$/);
    expect(one.ref).toMatchObject({ key: one.ref.path, range: undefined, lo: 5, hi: 6 });
    expect((await readAll(log)).map(({ agent, writerNonce: w }) => [agent, w])).toEqual([
      ["a", one.writerNonce],
      ["a", two.writerNonce],
    ]);
    expect((await backend.readBlob(one.ref.path)).length).toBe(one.ref.bytes);
    await writer.close();
  });

  test("names its stream at its first flush, not before: a process may be cloned until then", async () => {
    const { backend, log } = await scene();
    const writers = [log.createWriter("same"), log.createWriter("same")];
    expect([...(await backend.listBlobs("ops"))]).toEqual([]);
    const written = await Promise.all(writers.map((writer) => writer.write(draft(["a"], 1))));
    expect(new Set(written.map(({ writerNonce: w }) => w)).size).toBe(2);
    expect(new Set(written.map(({ ref }) => ref.path)).size).toBe(2);
  });

  test("whose answer was lost finds its own bytes and is content", async () => {
    const { backend, log } = await scene();
    backend.onPut = (_, land) => conflictAfter(land);
    const written = await log.createWriter("a").write(draft(["a"], 1));
    backend.onPut = (_, land) => land();
    expect((await readAll(log)).map(({ writerNonce: w }) => w)).toEqual([written.writerNonce]);
  });

  test("that was cloned leaves the clone's bytes alone and gets a stream of its own", async () => {
    const { backend, log } = await scene();
    const writer = log.createWriter("a");
    const first = await writer.write(draft(["a"], 1));
    const theirs = encoded(["theirs"], 2).bytes;
    let cloned: string | undefined;
    backend.onPut = async (path, land) => {
      if (cloned !== undefined) return land();
      cloned = path;
      const { put } = MemoryBackend.prototype;
      await put.call(backend, path, theirs, "none");
      return land();
    };
    const second = await writer.write(draft(["b"], 2));
    expect(second.writerNonce).not.toBe(first.writerNonce);
    expect(second.ref.path).not.toBe(cloned);
    const streams = [first, second].map(({ ref }) => parseSegmentPath(ref.path)?.stream);
    expect(streams[1]).not.toBe(streams[0]);
    expect(theirs.equals(await backend.readBlob(cloned ?? ""))).toBe(true);
    const mine = decodeSegment(await backend.readBlob(second.ref.path), { path: "", offset: 0 });
    expect([mine.writerNonce, mine.operations[0]?.id]).toEqual([second.writerNonce, "b"]);
    const third = await writer.write(draft(["c"], 3));
    expect(parseSegmentPath(third.ref.path)?.stream).toBe(streams[1]);
  });

  test("whose clone's first object has another name shares no version with it", async () => {
    const { backend } = await scene();
    // The same dice and the same clock.
    const clones = [0, 1].map(() => {
      return new ObjectLog(backend, manualRuntime(), { writeTimeoutMs: 1_000 }).createWriter("a");
    });
    const [left, right] = clones;
    const batch = await left?.write(draft(["x", "y", "z"], 5));
    const first = await right?.write(draft(["x"], 5));
    const second = await right?.write(draft(["y"], 6));
    const streams = [batch, first].map((one) => parseSegmentPath(one?.ref.path ?? "")?.stream);
    expect(streams[0]).toBe(streams[1]);
    expect(new Set([batch?.writerNonce, first?.writerNonce, second?.writerNonce]).size).toBe(3);
  });

  test("never uses a number twice, not even after a failure", async () => {
    const { backend, log } = await scene();
    const writer = log.createWriter("a");
    backend.onPut = () => Promise.reject(new UnavailableError("down"));
    await expect(writer.write(draft(["a"], 1))).rejects.toThrow(UnavailableError);
    backend.onPut = (_, land) => land();
    const written = await writer.write(draft(["a"], 2));
    expect(parseSegmentPath(written.ref.path)?.n).toBe(2);
  });

  test("does not know the outcome when what was there is gone or cannot be read", async () => {
    const { backend, log } = await scene();
    backend.onPut = () => Promise.resolve({ status: "conflict", dateMs: 5 });
    const gone = log.createWriter("a").write(draft(["a"], 1));
    await expect(gone).rejects.toThrow(WriteOutcomeUnknownError);
    await expect(gone).rejects.toThrow("existed and is gone: it may have been compacted");
    backend.onGet = () => Promise.reject(new UnavailableError("down"));
    const unread = log.createWriter("a").write(draft(["a"], 1));
    await expect(unread).rejects.toThrow(WriteOutcomeUnknownError);
    await expect(unread).rejects.toMatchObject({ cause: new UnavailableError("down") });
  });

  test("gives up when every new stream is taken by others", async () => {
    const { backend, log } = await scene();
    const theirs = encoded(["theirs"], 1).bytes;
    backend.onGet = () =>
      Promise.resolve({
        status: "found",
        body: theirs,
        etag: "",
        objectBytes: 1,
        lastModifiedMs: 1,
        dateMs: 1,
      });
    backend.onPut = () => Promise.resolve({ status: "conflict", dateMs: 5 });
    await expect(log.createWriter("a").write(draft(["a"], 1))).rejects.toThrow("5 new streams");
  });
});

describe("listing", () => {
  test("of a medium without order goes through the 16 shards when there are more than a page", async () => {
    const { backend, log } = await scene();
    Object.assign(backend, { listsInOrder: false });
    for (let n = 0; n < 1_100; n++) {
      const stream = `ops-1-${(n % 16).toString(16)}123456789abcdef`;
      const { bytes, filter } = encoded(["x"], n + 1);
      await backend.writeBlob(
        segmentPath({ stream, n, lo: n + 1, hi: n + 1, filter }).replace("/0-", "/9-"),
        bytes,
      );
    }
    const { segments, corrupt } = await log.list();
    expect([segments.length, corrupt]).toEqual([1_100, []]);
    expect(backend.lists).toHaveLength(17);
    expect(new Set(segments.map(({ key }) => key)).size).toBe(1_100);
  });

  test("of 3,000 segments reads them 32 at a time at most, each once", async () => {
    const { backend, log } = await scene();
    for (let n = 1; n <= 3_000; n++) {
      const stream = `ops-1-${(n % 16).toString(16)}123456789abcdef`;
      const { bytes, lo, hi, filter } = encoded([`r${n}`], n);
      await backend.writeBlob(segmentPath({ stream, n, lo, hi, filter }), bytes);
    }
    const [reads, underWay] = [new Map<string, number>(), { now: 0, most: 0 }];
    backend.onGet = async (path, read) => {
      reads.set(path, (reads.get(path) ?? 0) + 1);
      underWay.most = Math.max(underWay.most, ++underWay.now);
      for (let tick = 0; tick < 10; tick++) await Promise.resolve();
      underWay.now--;
      return read();
    };
    const found = await readAll(log);
    expect(new Set(found.map(({ operations }) => operations[0]?.id)).size).toBe(3_000);
    expect([reads.size, new Set(reads.values())]).toEqual([3_000, new Set([1])]);
    expect(underWay.most).toBe(32);
    // The rest in two parts.
    expect(backend.lists).toEqual(["ops/", "ops/"]);
  });

  test("one slow answer delays no other, and arrives all the same", async () => {
    const { backend, log } = await scene();
    const writer = log.createWriter("a");
    for (let n = 1; n <= 200; n++) await writer.write(draft([`r${n}`], n));
    const others = new Deferred();
    let reads = 0;
    backend.onGet = async (_path, read) => {
      if (++reads === 1) await others.promise;
      if (reads === 200) others.resolve();
      return read();
    };
    expect(await readAll(log)).toHaveLength(200);
  });

  test("refuses names of a newer format also among many", async () => {
    const { backend, log } = await scene();
    for (const name of ["._x.jsonl", "a/._x.jsonl", "a/x (copy).jsonl"]) {
      await backend.writeBlob(`ops/${name}`, "x");
      expect((await log.list()).segments).toEqual([]);
    }
    await backend.writeBlob("ops/a/new-style/1.jsonl", "x");
    await expect(log.list()).rejects.toThrow(FormatVersionError);
  });

  test("a segment that was deleted since is gone, the others are read", async () => {
    const { backend, log } = await scene();
    const writer = log.createWriter("a");
    for (let n = 1; n <= 100; n++) await writer.write(draft([`r${n}`], n));
    const { segments } = await log.list();
    await backend.delete(segments.slice(0, 30).map(({ path }) => path));
    const counts = { found: 0, gone: 0, corrupt: 0 };
    for await (const { status } of log.read(segments)) counts[status]++;
    expect(counts).toEqual({ found: 70, gone: 30, corrupt: 0 });
  });

  test("a read that fails is passed on, not taken for an empty log", async () => {
    const { backend, log } = await scene();
    await log.createWriter("a").write(draft(["a"], 1));
    backend.onGet = () => Promise.reject(new UnavailableError("down"));
    await expect(readAll(log)).rejects.toThrow(UnavailableError);
  });
});

test("a compaction gets every segment as a unit of its own, and what is corrupt as left out", async () => {
  const { backend, log } = await scene();
  const writer = log.createWriter("a");
  await writer.write(draft(["a"], 1));
  await writer.write(draft(["b"], 2));
  expect(await takeAll(log)).toMatchObject({ leftOut: false, corrupt: [] });
  const stream = "ops-1-0123456789abcdef";
  await backend.writeBlob(segmentPath({ stream, n: 1, lo: 2, hi: 1, filter: "0" }), "x");
  const input = await takeAll(log);
  expect(input).toMatchObject({ leftOut: true, corrupt: [expect.any(Error)] });
  expect(input.units.map(({ segments, corrupt }) => [segments.length, corrupt])).toEqual([
    [1, false],
    [1, false],
  ]);
  await log.deleteUnits(input.units.slice(0, 1));
  expect((await readAll(log)).map(({ operations }) => operations[0]?.id)).toEqual(["b"]);
});
