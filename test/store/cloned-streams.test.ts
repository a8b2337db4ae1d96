/** Operations of one and the same version, as clones of a process once wrote them, told by streams. */
import { describe, expect, test } from "vitest";
import type { LogOperation } from "../../src/core/operation.ts";
import { parseSegmentPath, segmentPath } from "../../src/format/paths.ts";
import { decodeSegment } from "../../src/format/segment-decoder.ts";
import { encodeSegment } from "../support/encode-segment.ts";
import { encodeOperation } from "../../src/format/segment.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";
import { rebuilt, taken } from "./streamed.ts";

const AGENT = "cloned";
/** From `ops/<h>/<stream>/…`: the stream. */
const STREAM = /^ops\/.\/(.*-[0-9a-f]{16})\//;

async function open(backend: MemoryBackend, readOnly: boolean): Promise<Store<unknown>> {
  const options = { backend, readOnly, agentId: AGENT, checkpointOnClose: false };
  return Store.open("cloned-streams", options);
}

/** A store whose writes are compacted or not, and the clone's segment beside it. */
async function clonedStore(
  data: unknown,
  { isCompacted, n }: { readonly isCompacted: boolean; readonly n: number },
): Promise<MemoryBackend> {
  const backend = new MemoryBackend();
  const store = await open(backend, false);
  await store.set("y", 1);
  await store.set("x", "mine");
  const pages = await taken(backend.list("ops/"));
  const path = pages[0]?.objects.find((each) => each.path.includes("/2-"))?.path ?? "";
  const stream = STREAM.exec(path)?.[1] ?? "";
  const { writerNonce } = decodeSegment(await backend.readBlob(path), { path, offset: 0 });
  const clock = parseSegmentPath(path)?.lo ?? 0;
  const common = { ts: "2026-01-01T00:00:00.000Z", id: "x", clock };
  const operation: LogOperation =
    data === undefined ? { ...common, op: "delete" } : { ...common, op: "set", data };
  const line = encodeOperation(operation, data === undefined ? undefined : JSON.stringify(data));
  const segment = { agent: AGENT, writerNonce, schemaVersion: 1, operations: [operation] };
  const { bytes, lo, hi, filter } = encodeSegment(segment, [line]);
  if (isCompacted) await store.compact();
  // Only then: the compaction knows nothing of it.
  await backend.writeBlob(segmentPath({ stream, n, lo, hi, filter }), bytes);
  await store.close();
  return backend;
}

interface Case {
  readonly name: string;
  readonly data: unknown;
  /** Of record x. */
  readonly expected: unknown;
}

const CASES: readonly Case[] = [
  { name: "a deletion", data: undefined, expected: undefined },
  { name: "a greater text", data: "yours", expected: "yours" },
  { name: "a lesser text", data: "his", expected: "mine" },
];

describe.each(CASES)("$name of a clone", ({ data, expected }) => {
  test.each([
    { isCompacted: true, n: 3 },
    { isCompacted: false, n: 1 },
    { isCompacted: false, n: 3 },
  ])("its segment is number $n, the other was compacted: $isCompacted", async (how) => {
    const reader = await open(await clonedStore(data, how), true);
    expect(reader.get("x")).toBe(expected);
    const copy = await rebuilt(reader);
    expect(copy.get("x")).toBe(expected);
    expect(copy.get("y")).toBe(1);
    await reader.close();
  });
});
