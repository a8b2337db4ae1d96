/** Clocks of writes that are times (PROTOCOL, H3, H5, H6). */
import { describe, expect, test } from "vitest";
import { InvalidArgumentError } from "../../src/core/errors.ts";
import { HybridClock, type LastClock } from "../../src/core/hybrid-clock.ts";
import { CLOCK_MAX } from "../../src/core/version.ts";

const T_MS = 1_800_000_000_000;

function scene({ estimateMs = T_MS, offsetMsMax = Infinity } = {}) {
  const time = { estimateMs: () => state.estimateMs, isDoubtful: false, offsetMsMax };
  const state = { estimateMs, steadyMs: 0, wallMs: T_MS };
  const clocks = { steadyMs: () => state.steadyMs, wallMs: () => state.wallMs };
  const last: LastClock = { value: 0, hasWarned: false };
  const clock = new HybridClock(clocks, time, last);
  return { state, clock, last, other: new HybridClock(clocks, time, last) };
}

describe("a clock", () => {
  test("is the estimate in 1,024ths of a millisecond, a whole number", () => {
    const { clock, state } = scene();
    expect(clock.take(1, 0).first).toBe(T_MS * 1_024);
    state.estimateMs = T_MS + 5.3;
    const { first } = clock.take(1, 0);
    expect(first).toBe(Math.floor((T_MS + 5.3) * 1_024));
    expect(Number.isSafeInteger(first)).toBe(true);
    expect(String(first)).toHaveLength(16);
  });

  test("is above all that was given and all that is known, whatever the time", () => {
    const { clock, state } = scene();
    expect(clock.take(5, 0).first).toBe(T_MS * 1_024);
    expect(clock.take(1, 0).first).toBe(T_MS * 1_024 + 5);
    const far = (T_MS + 86_400_000) * 1_024;
    expect(clock.take(1, far).first).toBe(far + 1);
    state.estimateMs = T_MS - 5_000;
    expect(clock.take(1, 0).first).toBe(far + 2);
  });

  test("counts on where no time is known", () => {
    const { clock } = scene({ estimateMs: 0 });
    expect([clock.take(1, 41).first, clock.take(2, 0).first, clock.take(1, 0).first]).toEqual([
      42, 43, 45,
    ]);
  });

  test("of stores of one process is never given twice", () => {
    const { clock, other } = scene();
    const taken = [clock, other, clock, other].map((one) => one.take(1, 0).first);
    expect(taken).toEqual([0, 1, 2, 3].map((n) => T_MS * 1_024 + n));
  });

  test("beyond the last one there is is refused before anything is taken", () => {
    const { clock, last } = scene();
    expect(() => clock.take(2, CLOCK_MAX - 1)).toThrow(InvalidArgumentError);
    expect(() => clock.take(2, CLOCK_MAX - 1)).toThrow(`used up: ${CLOCK_MAX - 1} of ${CLOCK_MAX}`);
    expect(last.value).toBe(0);
    expect(clock.take(1, CLOCK_MAX - 1).first).toBe(CLOCK_MAX);
  });
});

describe("a store that is dragged", () => {
  test("has clocks more than a second ahead of the time", () => {
    const { clock, state } = scene();
    expect(clock.isDragged((T_MS + 1_000) * 1_024)).toBe(false);
    expect(clock.isDragged((T_MS + 1_001) * 1_024)).toBe(true);
    clock.take(1, (T_MS + 2_000) * 1_024);
    expect(clock.isDragged(0)).toBe(true);
    state.estimateMs = T_MS + 1_500;
    expect(clock.isDragged(0)).toBe(false);
    state.estimateMs = 0;
    expect(clock.isDragged(0)).toBe(false);
  });

  test("is reported once in a process, when it is by more than a minute", () => {
    const { clock, other } = scene();
    expect(clock.takeWarning((T_MS + 60_000) * 1_024)).toBeUndefined();
    expect(clock.takeWarning((T_MS + 61_000) * 1_024)).toBe(61_000);
    expect(other.takeWarning((T_MS + 61_000) * 1_024)).toBeUndefined();
  });
});

describe("clocks of the process that stood still", () => {
  const OFFSET_MS = T_MS + 500;

  test("are noticed when the medium's went on by more than ten seconds", () => {
    const { clock, state } = scene({ offsetMsMax: OFFSET_MS });
    const taken = clock.take(1, 0);
    state.steadyMs += 20;
    state.wallMs += 20;
    expect(clock.stoodStill(taken, OFFSET_MS + 10_000)).toBe(false);
    expect(clock.stoodStill(taken, OFFSET_MS + 10_021)).toBe(true);
  });

  test("no more after they ran apart: that freeze came after the clock was taken", () => {
    const { clock, state } = scene({ offsetMsMax: OFFSET_MS });
    const taken = clock.take(1, 0);
    state.wallMs += 30_000;
    expect(clock.stoodStill(taken, OFFSET_MS + 30_000)).toBe(false);
  });

  test("are nothing to a medium whose time was not known", () => {
    const { clock } = scene();
    expect(clock.stoodStill(clock.take(1, 0), Number.MAX_SAFE_INTEGER)).toBe(false);
  });
});
