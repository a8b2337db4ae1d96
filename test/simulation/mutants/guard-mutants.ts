/** Mechanisms of conditional writes (G1 to G8) and of their versions switched off. */
import type { Mutant } from "./mutant.ts";

const WRITES = "session/lane-claims.ts";

export const GUARD_MUTANTS: readonly Mutant[] = [
  {
    name: "after a claim just the next number",
    breaks: ["TOUCH", "G6"],
    does: "takes the next number without looking at whose records the claim before it names",
    edits: [
      { file: WRITES, find: "namesAny(sent.claim, ids)", put: "namesAny(sent.claim, new Set())" },
    ],
  },
  {
    name: "decides beside claims that it has passed over",
    breaks: ["TOUCH", "G6"],
    does: "decides on a lane again without a look at the claims that it has passed over",
    edits: [
      {
        file: "session/lane-claims.ts",
        find: "if (taken.isCut) return undefined;",
        put: "",
      },
    ],
    test: { file: "store/passed-claims.test.ts", name: "TOUCH: what was passed over is seen" },
  },
  {
    name: "decided on an old view",
    breaks: ["G1"],
    does: "decides on whatever view it has, fresh or not",
    edits: [
      {
        file: WRITES,
        find: "if (needsLook || !this.#replica.isFreshToWrite(VIEW_AGE_MS_MAX))",
        put: "if (needsLook && !this.#replica.isFreshToWrite(60_000))",
      },
    ],
  },
  {
    name: "a late answer counts",
    breaks: ["ACK", "WINDOW", "G5"],
    does: "acknowledges a claim by its answer, whatever compactions did meanwhile",
    edits: [
      {
        file: WRITES,
        find: "return places.filter(({ lane, n }) => n > laneFloor(manifest, lane)).length;",
        put: "return places.filter(({ lane, n }) => n > 0 || laneFloor(manifest, lane) > 0).length;",
      },
    ],
  },
  {
    name: "a look that stopped decides",
    breaks: ["SPAN", "G1"],
    does: "decides on a view whose answers lie far apart",
    edits: [
      {
        file: WRITES,
        find: "this.#spanMs > this.windowMs;",
        put: "this.#spanMs > this.windowMs + 1e12;",
      },
    ],
    test: { file: "store/conditional-span.test.ts", name: "SPAN: a look that stopped" },
  },
  {
    name: "guarded writes take clocks",
    breaks: ["VERSION"],
    does: "gives a guarded operation a clock above its base: it buries plain writes that it did not see",
    edits: [
      {
        file: "session/claim-draft.ts",
        find: "if (value !== undefined) return { value, version, base: version };",
        put: "if (value !== undefined) return { value, version, base: { ...version, clock: version.clock + 1_024_000 } };",
      },
    ],
  },
  {
    name: "nothing is at clock 1",
    breaks: ["STAND"],
    does: "creates a record at the lowest clock, below what was purged",
    edits: [
      {
        file: "session/claim-draft.ts",
        find: "clock: purgeFloor + 1,",
        put: "clock: purgeFloor < 0 ? 0 : 1,",
      },
    ],
  },
  {
    name: "reads end at an own claim",
    breaks: ["R4", "G6"],
    does: "looks for nothing below a claim of the store's own that a refresh comes to",
    edits: [
      {
        file: "read/claims.ts",
        find: "filter((other) => other < search.n)",
        put: "filter((other) => other < 0)",
      },
    ],
  },
  {
    name: "passed claims are live",
    breaks: ["LANE-FLOOR", "R1"],
    does: "counts claims that a compaction has passed",
    edits: [
      {
        file: "view/lanes.ts",
        find: "if (n <= laneFloor(manifest, lane)) continue;",
        put: "if (n <= laneFloor(manifest, lane) - 1_000) continue;",
      },
    ],
  },
  {
    name: "leaves out what the claim before names",
    breaks: ["R4"],
    does: "tells in a claim only what the claims before the last one name",
    edits: [
      {
        file: "log/newest-claims.ts",
        find: "for (const id of names) next.set(filterHash(id), n);",
        put: "for (const id of names) next.delete(filterHash(id));",
      },
    ],
    test: { file: "log/newest-claims.test.ts", name: "a claim tells of those before it" },
  },
];
