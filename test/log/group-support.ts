/** A group of writers over a medium whose puts a test may hold up. */
import { onTestFinished } from "vitest";
import type { Segment } from "../../src/format/segment.ts";
import { FlushGroup, type Member } from "../../src/log/flush-group.ts";
import type { LogWriter, SegmentDraft } from "../../src/log/log.ts";
import { ObjectLog } from "../../src/log/object-log.ts";
import type { Precondition, PutOptions, PutResult } from "../../src/storage/backend.ts";
import { Deadline } from "../../src/storage/deadline.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { manualRuntime } from "../support/manual-runtime.ts";
import { draft } from "./support.ts";

export const LINGER_MS = 10;

export class SlowBackend extends MemoryBackend {
  readonly sent: ({ readonly path: string } & PutOptions)[] = [];
  /** What a put does, for a test to hold up or to change. */
  onPut = (_path: string, land: () => Promise<PutResult>): Promise<PutResult> => land();

  override put(
    path: string,
    body: Uint8Array,
    precondition: Precondition,
    { timeoutMs, signal }: PutOptions = {},
  ): Promise<PutResult> {
    this.sent.push({ path, timeoutMs, signal });
    return this.onPut(path, () => super.put(path, body, precondition));
  }
}

export async function scene() {
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
export function draftOf(agent: string, id: string, clock: number): SegmentDraft {
  return { ...draft([id], clock), agent };
}

/** Puts wait for a test to let them go. */
export function holdPuts(backend: SlowBackend): (() => void)[] {
  const held: (() => void)[] = [];
  backend.onPut = async (_, land) => {
    await new Promise<void>((resolve) => held.push(resolve));
    return land();
  };
  onTestFinished(() => held.forEach((letGo) => letGo()));
  return held;
}

export function deadlineIn(runtime: ReturnType<typeof manualRuntime>, ms: number): Deadline {
  const endMs = runtime.nowMs() + ms;
  const deadline = new Deadline(runtime, () => endMs - runtime.nowMs());
  onTestFinished(() => deadline.stop());
  return deadline;
}
