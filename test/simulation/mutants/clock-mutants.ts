/** Mechanisms of the hybrid clock (H1 to H6) switched off. */
import type { Mutant } from "./mutant.ts";

const MEDIUM = "core/medium-clock.test.ts";
const HYBRID = "core/hybrid-clock.test.ts";
const STORE = "store/hybrid-clock.test.ts";
const GRACES = "store/promised-graces.test.ts";

export const CLOCK_MUTANTS: readonly Mutant[] = [
  {
    name: "clocks only count",
    breaks: ["ORDER", "H3"],
    does: "gives clocks without a look at the time",
    edits: [
      {
        file: "core/hybrid-clock.ts",
        find: "Math.floor(this.#time.estimateMs() * CLOCKS_PER_MS)",
        put: "Math.floor(0 * CLOCKS_PER_MS)",
      },
    ],
  },
  {
    name: "whole milliseconds",
    breaks: ["ORDER", "H3"],
    does: "cuts the estimate to milliseconds: five writes in one pass the next store's first",
    edits: [
      {
        file: "core/hybrid-clock.ts",
        find: "Math.floor(this.#time.estimateMs() * CLOCKS_PER_MS)",
        put: "Math.floor(this.#time.estimateMs()) * CLOCKS_PER_MS",
      },
    ],
  },
  {
    name: "a shift of 32 bits",
    breaks: ["ORDER", "H3"],
    does: "makes a clock of the estimate by shifting",
    edits: [
      {
        file: "core/hybrid-clock.ts",
        find: "Math.floor(this.#time.estimateMs() * CLOCKS_PER_MS)",
        put: "this.#time.estimateMs() << 10",
      },
    ],
    test: { file: HYBRID, name: "is the estimate in 1,024ths of a millisecond" },
  },
  {
    name: "a clock with a fraction",
    breaks: ["ORDER", "H3"],
    does: "does not cut the estimate to whole clocks",
    edits: [
      {
        file: "core/hybrid-clock.ts",
        find: "Math.floor(this.#time.estimateMs() * CLOCKS_PER_MS)",
        put: "this.#time.estimateMs() * CLOCKS_PER_MS",
      },
    ],
    test: { file: HYBRID, name: "is the estimate in 1,024ths of a millisecond" },
  },
  {
    name: "a cap on adoption",
    breaks: ["RECENT", "FLOOR", "H3"],
    does: "ignores clocks that lie ahead of its own time",
    edits: [
      {
        file: "core/hybrid-clock.ts",
        find: "const known = Math.max(this.#last.value, above);",
        put: "const known = Math.max(this.#last.value, Math.min(above, this.#time.estimateMs() * CLOCKS_PER_MS));",
      },
    ],
  },
  {
    name: "each store counts for itself",
    breaks: ["ORDER", "H3"],
    does: "keeps the last clock with the store, not with the process",
    edits: [
      {
        file: "engine/engine.ts",
        find: "new WallClock(runtime), warm.lastClock)",
        put: "new WallClock(runtime), { ...warm.lastClock })",
      },
    ],
  },
  {
    name: "an unclamped wall clock",
    breaks: ["ORDER", "H2"],
    does: "takes what has counted since the start of the process for the time, whatever was set since",
    edits: [
      {
        file: "core/runtime.ts",
        find: "return Math.min(Math.max(performance.timeOrigin + performance.now(), nowMs), nowMs + 0.999);",
        put: "return Math.max(performance.timeOrigin + performance.now(), Math.min(nowMs, 0));",
      },
    ],
    test: { file: MEDIUM, name: "follows a wall clock that is set" },
  },
  {
    name: "an interval that is never begun anew",
    breaks: ["ORDER", "H1"],
    does: "intersects dates that contradict each other",
    edits: [
      {
        file: "core/medium-clock.ts",
        find: "agree ? [least, most] : [lo, hi]",
        put: "agree || known.lo !== lo ? [least, most] : [lo, hi]",
      },
    ],
  },
  {
    name: "an interval from before a freeze",
    breaks: ["ORDER", "H1"],
    does: "intersects the first answer after a freeze with those before it",
    edits: [
      {
        file: "core/medium-clock.ts",
        find: "seen !== undefined && apartMs(seen, got) <= APART_MS_MAX;",
        put: "seen !== undefined;",
      },
    ],
    test: { file: MEDIUM, name: "is uncertain until an answer" },
  },
  {
    name: "an answer over a freeze",
    breaks: ["ORDER", "H1"],
    does: "takes in an answer during which the process was frozen",
    edits: [
      {
        file: "core/medium-clock.ts",
        find: "if (apartMs(sent, got) > APART_MS_MAX) return;\n",
        put: "",
      },
    ],
    test: { file: MEDIUM, name: "with a request under way learns nothing from its answer" },
  },
  {
    name: "sent for received",
    breaks: ["ORDER", "H1"],
    does: "takes the moment of sending for that of the answer, and the other way round",
    edits: [
      {
        file: "core/medium-clock.ts",
        find: "const lo: Bound = { offsetMs: dateMs - got.steadyMs, at: got };",
        put: "[sent, got] = [got, sent];\n    const lo: Bound = { offsetMs: dateMs - got.steadyMs, at: got };",
      },
    ],
  },
  {
    name: "dates to the millisecond",
    breaks: ["ORDER", "H1"],
    does: "ignores that a date is cut to whole seconds",
    edits: [
      {
        file: "core/medium-clock.ts",
        find: "offsetMs: dateMs + DATE_GRAIN_MS - sent.steadyMs",
        put: "offsetMs: dateMs - sent.steadyMs",
      },
    ],
  },
  {
    name: "a steady clock without drift",
    breaks: ["ORDER", "H1"],
    does: "does not widen the interval as time passes",
    edits: [
      { file: "core/medium-clock.ts", find: "const DRIFT = 0.5 / 1_000;", put: "const DRIFT = 0;" },
    ],
    test: { file: MEDIUM, name: "follows a steady clock that is wrong" },
  },
  {
    name: "a freeze too short for doubt",
    breaks: ["ORDER", "H1"],
    does: "keeps the bounds of the interval where the steady clock stood still for up to 50 ms",
    edits: [
      {
        file: "core/medium-clock.ts",
        find: "DRIFT + Math.max(0, gained)",
        put: "DRIFT + Math.max(0, 0 * gained)",
      },
    ],
  },
  {
    name: "a wall clock that was set is followed",
    breaks: ["ORDER", "H2"],
    does: "widens the interval by whatever the wall clock has gained since the last answer",
    edits: [
      {
        file: "core/medium-clock.ts",
        find: "apartMs(seen, now) > APART_MS_MAX ? seen : now",
        put: "now",
      },
    ],
    test: { file: MEDIUM, name: "does not follow that" },
  },
  {
    name: "an answer to nobody",
    breaks: ["ORDER", "H1"],
    does: "takes in the date of an answer that came after the request was given up",
    edits: [
      {
        file: "s3/requests/exchange.ts",
        find: " || this.signal.aborted) return;",
        put: ") return;",
      },
    ],
    test: { file: "s3/medium-clock.test.ts", name: "after it was given up" },
  },
  {
    name: "no doubt after a freeze",
    breaks: ["ORDER", "H4"],
    does: "does not look when its clocks ran apart",
    edits: [{ file: "session/flusher.ts", find: "if (clock.isDoubtful) return true;", put: "" }],
    test: { file: STORE, name: "looks before it writes" },
  },
  {
    name: "views from the future",
    breaks: ["RECENT", "H4"],
    does: "takes a view for young that began before the wall clock was set back",
    edits: [
      {
        file: "core/medium-clock.ts",
        find: "return Math.min(steadyMs, wallMs) < 0 ? Infinity : Math.max(steadyMs, wallMs);",
        put: "return Math.max(steadyMs, wallMs);",
      },
    ],
    test: { file: MEDIUM, name: "an age is what the faster of the clocks says" },
  },
  {
    name: "a dragged store is like any other",
    breaks: ["ORDER", "H5"],
    does: "does not look when clocks are ahead of time",
    edits: [
      {
        file: "session/flusher.ts",
        find: "if (calledMs === undefined || !clock.isDragged(view.clock)) return false;",
        put: "if (calledMs !== undefined || !clock.isDragged(view.clock)) return false;",
      },
    ],
  },
  {
    name: "clocks that stood still count",
    breaks: ["ORDER", "H6"],
    does: "acknowledges a write over which both clocks stood still",
    edits: [
      {
        file: "session/flusher.ts",
        find: "    this.#checkStoodStill(clocks, written);\n",
        put: "",
      },
    ],
    test: {
      file: STORE,
      name: "whose clocks both stood still rejects as outcome unknown",
    },
  },
  {
    name: "clocks without the manifest",
    breaks: ["RECENT", "H3"],
    does: "continues from the clocks of the live log, not from the manifest's",
    edits: [
      {
        file: "view/view.ts",
        find: "const clock = listed.reduce((max, { hi }) => Math.max(max, hi), manifest.clock);",
        put: "const clock = listed.reduce((max, { hi }) => Math.max(max, hi), 0);",
      },
    ],
  },
  {
    name: "the time of the last answer",
    breaks: ["ORDER", "H3"],
    does: "takes the time from its last answer, such as its look's, not from the moment of the flush",
    edits: [
      {
        file: "core/medium-clock.ts",
        find: "const now = this.now();",
        put: "const now = seen;",
      },
    ],
  },
  {
    name: "the wall clock as it is",
    breaks: ["ORDER", "H2"],
    does: "takes the wall clock for the time, whatever the medium's dates say",
    edits: [
      {
        file: "core/medium-clock.ts",
        find: "(isRight ? offset : (least + most) / 2)",
        put: "(isRight ? offset : offset)",
      },
    ],
  },
  {
    name: "a clock below what is known",
    breaks: ["RECENT", "H3"],
    does: "uses the time as its clock even if that is below the clocks it has seen",
    edits: [
      {
        file: "core/hybrid-clock.ts",
        find: "const first = Math.max(known + 1, ",
        put: "const first = this.#time.estimateMs() === 0 ? known + 1 : Math.max(",
      },
    ],
  },
  {
    name: "LATE by clock",
    breaks: ["LATE", "W5"],
    does: "measures how long after its clock a flush was written, not how long after its view",
    edits: [
      {
        file: "session/flusher.ts",
        find: "const countsUntilMs = this.#replica.view.loaded.dateMs + this.#lagMsMax;",
        put: "const countsUntilMs = clocks.first / 1_024 + this.#lagMsMax;",
      },
      {
        file: "session/flusher.ts",
        find: "const lagMs = dateMs - this.#replica.view.loaded.dateMs;",
        put: "const lagMs = Math.max(0, dateMs - (countsUntilMs - this.#lagMsMax));",
      },
    ],
    test: { file: GRACES, name: "does not count where clocks are ahead of time" },
  },
  {
    name: "F by time",
    breaks: ["FLOOR", "C9"],
    does: "purges up to the clock of a grace ago, not up to one that was merged by then",
    edits: [
      {
        file: "compaction/purge.ts",
        find: ".reduce((floor, { clock }) => Math.max(floor, clock), manifest.purgeFloor);",
        put: ".reduce((floor) => Math.max(floor, (dateMs - tombstoneGraceMs) * 1_024), manifest.purgeFloor);",
      },
    ],
    test: { file: GRACES, name: "a purge ignores no more than was merged" },
  },
];
