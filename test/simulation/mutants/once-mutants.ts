/** Mechanisms of calls that run once (E1 to E7) switched off. */
import type { Mutant } from "./mutant.ts";

const ONCE = "store/once.ts";

export const ONCE_MUTANTS: readonly Mutant[] = [
  {
    name: "a lease is no obstacle",
    breaks: ["E1", "E2"],
    does: "takes a key over while another holds it",
    edits: [
      {
        file: ONCE,
        find: `if (found?.state === "running" && nowMs <= found.expires) {`,
        put: `if (found?.state === "running" && nowMs <= found.expires - 1e15) {`,
      },
    ],
  },
  {
    name: "a result is no obstacle",
    breaks: ["E1"],
    does: "runs the function although its result is there",
    edits: [
      {
        file: ONCE,
        find: `if (found?.state === "done" && nowMs <= found.expires) return undefined;`,
        put: `if (found?.state === "done" && nowMs <= found.expires - 1e15) return undefined;`,
      },
    ],
  },
  {
    name: "whoever ran the function completes it",
    breaks: ["E4"],
    does: "completes a key that another has taken over, by whatever version is there",
    edits: [
      {
        file: ONCE,
        find: `if (found?.state === "running" && found.holder === holder) return found;`,
        put: `if (found?.state === "running" && holder !== "") return found;`,
      },
    ],
  },
  {
    name: "the function is run again where its result is not kept",
    breaks: ["E6"],
    does: "runs the function once more after a failure to complete it, also one of unknown outcome",
    edits: [
      {
        file: ONCE,
        find: "return this.#complete(call, result);",
        put: "return this.#complete(call, result).catch(async () => this.#complete(call, await this.#runHeld(call, fn)));",
      },
    ],
  },
  {
    name: "records end at once",
    breaks: ["E7"],
    does: "replaces records of once by tombstones before they end",
    edits: [
      {
        file: "compaction/merge-step.ts",
        find: "endedMs: loaded.dateMs - limits.endedKeptMs,",
        put: "endedMs: loaded.dateMs + 1e15 + limits.endedKeptMs,",
      },
    ],
  },
  {
    name: "the tombstone of an ended record has a version of its own",
    breaks: ["E7"],
    does: "puts the tombstone above the record, where it buries what follows",
    edits: [
      {
        file: "compaction/unit-merge.ts",
        find: "return { id, version, schemaVersion, text: undefined };\n}\n\nfunction inOrder",
        put: "return { id, version: { ...version, clock: version.clock + 1 }, schemaVersion, text: undefined };\n}\n\nfunction inOrder",
      },
    ],
  },
];
