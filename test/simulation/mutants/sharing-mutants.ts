/** Mechanisms of stores that flush together (W7) switched off. */
import type { Mutant } from "./mutant.ts";

export const SHARING_MUTANTS: readonly Mutant[] = [
  {
    name: "a shared object is all one's own",
    breaks: ["VIEW", "W7"],
    does: "takes an object that holds others' segments, too, for its own flush",
    edits: [
      {
        file: "log/flush-group.ts",
        find: "if (parts.length === 1) return",
        put: "if (parts.length > 0) return",
      },
    ],
  },
  {
    name: "a name tells of the first segment",
    breaks: ["VIEW", "W7"],
    does: "names an object after the ids of the first segment in it",
    edits: [
      {
        file: "log/flush-group.ts",
        find: "const ids = group.flatMap(",
        put: "const ids = group.slice(0, 1).flatMap(",
      },
    ],
  },
  {
    name: "the youngest view counts",
    breaks: ["LATE", "W7"],
    does: "acknowledges what shares an object with a flush that is too late",
    edits: [
      {
        file: "log/flush-group.ts",
        find: "minOf(group.map((waiting) => waiting.draft.countsUntilMs))",
        put: "maxOf(group.map((waiting) => waiting.draft.countsUntilMs))",
      },
    ],
    test: { file: "store/memory.test.ts", name: "one store's stale view" },
  },
  {
    name: "one w for a process",
    breaks: ["VERSION-UNIQUE", "W7"],
    does: "gives all that flush together the w of their stream",
    edits: [
      {
        file: "log/flush-group.ts",
        find: "const writerNonce = versionNonce(drawnFor(stream), path, body.bytes);",
        put: "const writerNonce = versionNonce(drawnFor(stream), path, body.bytes) === '' ? '' : stream.rand;",
      },
    ],
    test: { file: "log/flush-group.test.ts", name: "share one object" },
  },
  {
    name: "others go on after a failure",
    breaks: ["W6", "W7"],
    does: "sends what shared an object of unknown outcome once more, under another name",
    edits: [
      {
        file: "log/flush-group.ts",
        find: "error instanceof BudgetExceededError ? rest.slice(0, 1) : rest;",
        put: "error instanceof BudgetExceededError || rest.length > 1 ? rest.slice(0, 1) : rest;",
      },
    ],
  },
  {
    name: "a part is enough",
    breaks: ["W7"],
    does: "reads an object from which segments are missing",
    edits: [
      {
        file: "format/segment-decoder.ts",
        find: "if (range === undefined) checkTogether(headers, place);",
        put: "if (range !== undefined) checkTogether(headers, place);",
      },
    ],
    test: { file: "format/segment.test.ts", name: "one too few or too many" },
  },
];
