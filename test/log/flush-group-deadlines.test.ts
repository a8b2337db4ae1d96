/** Invocations whose time runs out while their flushes share objects. */
import { describe, expect, onTestFinished, test } from "vitest";
import { UnavailableError, WriteOutcomeUnknownError } from "../../src/core/errors.ts";
import { Deadline } from "../../src/storage/deadline.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { deadlineIn, holdPuts, scene } from "./group-support.ts";
import { draft, encoded } from "./support.ts";

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
    const ids = (await objects())
      .flat()
      .flatMap(({ operations }) => operations.map(({ id }) => id));
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

  test("that has passed, though no timer has run yet, prevents a flush from being sent", async () => {
    const { runtime, backend, join } = await scene();
    const held = holdPuts(backend);
    const first = join().write(draft(["a"], 1));
    await runtime.advance(0);
    let leftMs = 5;
    const deadline = new Deadline(runtime, () => leftMs);
    onTestFinished(() => deadline.stop());
    const old = join({ deadline }).write({ ...draft(["late"], 1), countsUntilMs: 1 });
    const young = join().write({ ...draft(["b"], 1), countsUntilMs: 900 });
    // Frozen and thawed: the answer comes before the timers.
    leftMs = -1_000;
    held[0]?.();
    await expect(old).rejects.toThrow(/a flush was not sent before the deadline/);
    held[1]?.();
    await first;
    expect((await young).countsUntilMs).toBe(900);
    expect(backend.sent).toHaveLength(2);
  });

  test("of the last that waits ends the request: nothing more is sent", async () => {
    const { runtime, backend, join } = await scene();
    const held = holdPuts(backend);
    const members = [1_000, 2_000].map((ms) => ({ deadline: deadlineIn(runtime, ms) }));
    const writes = members.map((member) => join(member).write(draft(["a"], 1)));
    const outcomes = Promise.allSettled(writes);
    await runtime.advance(0);
    const signals = backend.sent.map(({ signal }) => signal);
    await runtime.advance(1_000);
    expect(signals.map((signal) => signal?.aborted)).toEqual([false]);
    await runtime.advance(1_000);
    expect(signals.map((signal) => signal?.aborted)).toEqual([true]);
    expect((await outcomes).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    // A clone's bytes lie there: that would be a reason to write again.
    await MemoryBackend.prototype.put.call(
      backend,
      backend.sent[0]?.path ?? "",
      encoded(["theirs"], 1).bytes,
      "none",
    );
    held[0]?.();
    await runtime.advance(0);
    expect(backend.sent).toHaveLength(1);
  });

  test("gives the request the longest that any of them may wait", async () => {
    const { runtime, backend, join } = await scene();
    const members = [3_000, 7_000].map((ms) => ({ deadline: deadlineIn(runtime, ms) }));
    await Promise.all(members.map((member) => join(member).write(draft(["a"], 1))));
    await join({ deadline: deadlineIn(runtime, 60_000) }).write(draft(["a"], 1));
    expect(backend.sent.map(({ timeoutMs }) => timeoutMs)).toEqual([7_000, 20_000]);
  });
});
