/** What the dates of answers tell of the medium's time (PROTOCOL, H1, H2, H4). */
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ageMs, MediumClock, type Moment, WallClock } from "../../src/core/medium-clock.ts";
import { systemRuntime } from "../../src/core/runtime.ts";

/** The true time when the steady clock shows 0. */
const START_MS = 1_800_000_000_250;

/** A process whose clocks a test moves. */
function process({ wallErrorMs = 0 } = {}) {
  const state = { steadyMs: 0, wallMs: START_MS + wallErrorMs, trueMs: START_MS };
  const clock = new MediumClock({ steadyMs: () => state.steadyMs, wallMs: () => state.wallMs });
  const pass = (ms: number): void => {
    state.trueMs += ms;
    state.wallMs += ms;
    state.steadyMs += ms;
  };
  return {
    state,
    clock,
    pass,
    /** One request whose answer is dated on its way. */
    ask: (outMs = 10, backMs = 10, skewMs = 0): void => {
      const sent = clock.now();
      pass(outMs);
      const dateMs = Math.floor((state.trueMs + skewMs) / 1_000) * 1_000;
      pass(backMs);
      clock.observe(dateMs, sent, clock.now());
    },
    errorMs: (): number => clock.estimateMs() - state.trueMs,
  };
}

describe("an estimate", () => {
  test("is none before any answer, nor for a time that cannot be", () => {
    const { clock } = process();
    expect(clock.estimateMs()).toBe(0);
    expect(clock.isDoubtful).toBe(false);
    for (const dateMs of [0, Date.UTC(2019, 11, 31), Date.UTC(2101, 0), Number.NaN]) {
      const { clock: other } = process();
      other.observe(dateMs, other.now(), other.now());
      expect(other.estimateMs()).toBe(0);
    }
  });

  test("is the wall clock where that may be right, to its fraction", () => {
    const { clock, ask, state } = process();
    ask();
    expect(clock.estimateMs()).toBe(state.wallMs);
    state.wallMs += 0.25;
    expect(clock.estimateMs()).toBe(state.wallMs);
  });

  test.each([-12, 12])(
    "is the wall clock after a silence, in which the steady clock drifted by %d ms",
    (driftMs) => {
      const { clock, ask, pass, state } = process();
      for (let request = 0; request < 200; request++) {
        ask(1, 1);
        pass(7.3);
      }
      pass(30_000);
      state.steadyMs += driftMs;
      expect(clock.estimateMs()).toBeCloseTo(state.wallMs, 3);
    },
  );

  test.each([-3_600_000, -5_000, 5_000, 3_600_000])(
    "is right to half a second beside a wall clock that is %d ms off, and soon to a round trip",
    (wallErrorMs) => {
      const { ask, pass, errorMs } = process({ wallErrorMs });
      ask();
      expect(Math.abs(errorMs())).toBeLessThanOrEqual(510);
      for (let request = 0; request < 60; request++) {
        pass(37);
        ask();
      }
      expect(Math.abs(errorMs())).toBeLessThanOrEqual(25);
    },
  );

  test("holds the true time within its bounds, however long requests take", () => {
    const { clock, state, ask, pass } = process({ wallErrorMs: 7_000 });
    for (let request = 0; request < 200; request++) {
      ask((request * 37) % 400, (request * 91) % 1_700);
      pass(request * 3);
      expect(state.trueMs).toBeLessThanOrEqual(state.steadyMs + clock.offsetMsMax);
      expect(clock.estimateMs()).toBeGreaterThan(state.trueMs - 1_500);
    }
  });

  test("follows a steady clock that is wrong by 0.4 ms a second", () => {
    const { ask, pass, state, errorMs } = process({ wallErrorMs: 60_000 });
    for (let request = 0; request < 2_000; request++) {
      ask();
      pass(500);
      // What the steady clock misses of the true time, the wall clock with it.
      state.trueMs += 0.2;
      if (request > 100) expect(Math.abs(errorMs())).toBeLessThanOrEqual(100);
    }
  });

  test("of answers that contradict each other the newest counts", () => {
    const { ask, errorMs } = process({ wallErrorMs: 60_000 });
    ask(10, 10, 20_000);
    expect(errorMs()).toBeGreaterThan(19_000);
    ask();
    expect(Math.abs(errorMs())).toBeLessThanOrEqual(510);
  });
});

describe("a process that was frozen", () => {
  test.each([
    [60, 0],
    [400, 0],
    [90_000, 0],
    // What the wall clock gains is not what the steady clock missed.
    [60, 120],
    [400, 120],
    [90_000, 120],
  ])("for %d ms, and set right by %d ms, is uncertain until an answer", (ms, wallErrorMs) => {
    const { clock, state, ask, pass, errorMs } = process({ wallErrorMs });
    for (let request = 0; request < 60; request++) {
      pass(37);
      ask();
    }
    // So that the next date does not contradict the ones before, although time went on.
    pass(1_300 - (state.trueMs % 1_000));
    // Its steady clock stood still.
    state.wallMs += ms - wallErrorMs;
    state.trueMs += ms;
    expect(clock.isDoubtful).toBe(true);
    ask();
    expect(clock.isDoubtful).toBe(false);
    expect(Math.abs(errorMs())).toBeLessThan(0.001);
  });

  test.each([1, 20, 49])(
    "for %d ms, again and again, keeps the time of a right wall clock",
    (ms) => {
      const { clock, state, ask, pass, errorMs } = process();
      for (let round = 0; round < 50; round++) {
        pass(37);
        ask();
        state.wallMs += ms;
        state.trueMs += ms;
        expect(clock.isDoubtful).toBe(false);
        expect(Math.abs(errorMs())).toBeLessThan(0.001);
      }
    },
  );

  test.each([1, 20, 49])(
    "for %d ms during a request, keeps the time of a right wall clock",
    (ms) => {
      const { clock, state, ask, pass, errorMs } = process();
      for (let round = 0; round < 50; round++) {
        ask();
        const sent = clock.now();
        const dateMs = Math.floor(state.trueMs / 1_000) * 1_000;
        state.wallMs += ms;
        state.trueMs += ms;
        pass(10);
        clock.observe(dateMs, sent, clock.now());
        expect(Math.abs(errorMs())).toBeLessThan(0.001);
      }
    },
  );

  test.each([1, 20, 49])(
    "for %d ms, whose wall clock is wrong, errs by no more than half a second and that",
    (ms) => {
      const { state, ask, pass, errorMs } = process({ wallErrorMs: 7_000 });
      for (let round = 0; round < 200; round++) {
        ask();
        pass(37);
        state.wallMs += ms;
        state.trueMs += ms;
        expect(Math.abs(errorMs())).toBeLessThanOrEqual(510 + ms);
      }
    },
  );

  test.each([-3_600_000, 3_600_000])(
    "while its clock was set by %d ms does not follow that",
    (ms) => {
      const { clock, state, ask, errorMs } = process();
      ask();
      state.wallMs += ms;
      expect(clock.isDoubtful).toBe(true);
      expect(Math.abs(errorMs())).toBeLessThanOrEqual(510);
    },
  );

  test("with a request under way learns nothing from its answer", () => {
    const { clock, state, ask } = process();
    ask();
    const before = clock.offsetMsMax;
    const sent = clock.now();
    state.wallMs += 5_000;
    state.trueMs += 5_000;
    clock.observe(Math.floor(state.trueMs / 1_000) * 1_000, sent, clock.now());
    expect(clock.offsetMsMax).toBe(before);
    expect(clock.isDoubtful).toBe(true);
  });

  test("over its first request has no time, and is in doubt until another answer", () => {
    const { clock, state, ask } = process();
    expect(clock.isDoubtful).toBe(false);
    const sent = clock.now();
    state.wallMs += 5_000;
    state.trueMs += 5_000;
    clock.observe(Math.floor(state.trueMs / 1_000) * 1_000, sent, clock.now());
    expect([clock.estimateMs(), clock.isDoubtful]).toEqual([0, true]);
    ask();
    expect(clock.isDoubtful).toBe(false);
  });
});

test("an age is what the faster of the clocks says, and unknown when one was set back", () => {
  const began: Moment = { steadyMs: 100, wallMs: 5_000 };
  expect(ageMs(began, { steadyMs: 130, wallMs: 5_010 })).toBe(30);
  expect(ageMs(began, { steadyMs: 130, wallMs: 9_000 })).toBe(4_000);
  expect(ageMs(began, { steadyMs: 130, wallMs: 4_999 })).toBe(Infinity);
});

test("a directory's time is the wall clock, from 2020 to 2100", () => {
  let wallMs = START_MS + 0.5;
  const clock = new WallClock({ steadyMs: () => 0, wallMs: () => wallMs });
  expect([clock.estimateMs(), clock.isDoubtful]).toEqual([START_MS + 0.5, false]);
  for (wallMs of [0, Date.UTC(2019, 0), Date.UTC(2101, 0)]) expect(clock.estimateMs()).toBe(0);
});

test("the system's time follows a wall clock that is set", () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  for (const shiftMs of [3_600_000, -3_600_000]) {
    const setMs = Date.now() + shiftMs;
    vi.setSystemTime(setMs);
    expect(Math.floor(systemRuntime.wallMs())).toBe(setMs);
  }
});

test("the system's wall clock agrees with Date.now(), and never goes back while that does not", () => {
  let before = 0;
  for (let asked = 0; asked < 1_000; asked++) {
    const low = Date.now();
    const wallMs = systemRuntime.wallMs();
    const high = Date.now();
    expect(wallMs >= low && wallMs < high + 1).toBe(true);
    expect(wallMs).toBeGreaterThanOrEqual(before);
    before = wallMs;
  }
});
