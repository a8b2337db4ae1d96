/** Mechanisms of writes (W1 to W6, V10), undo and the single writer switched off. */
import type { Mutant } from "./mutant.ts";

export const WRITE_MUTANTS: readonly Mutant[] = [
  {
    name: "one w for all",
    breaks: ["VERSION-UNIQUE", "W3"],
    does: "gives every store instance the same w",
    edits: [
      {
        file: "log/object-writer.ts",
        find: "const writerNonce = versionNonce(stream.rand, name, body.bytes);",
        put: 'const writerNonce = stream.rand.replaceAll(/./g, name === "" ? "1" : "0");',
      },
    ],
  },
  {
    name: "w without the name",
    breaks: ["VERSION-UNIQUE", "W4"],
    does: "gives versions what was drawn, whatever the object is called and holds: clones share them",
    edits: [
      {
        file: "format/segment.ts",
        find: 'return hash("sha256", `${drawn} ${name} ${sum}`).slice(0, drawn.length);',
        put: 'return hash("sha256", `${drawn} ${name} ${sum}`) === "" ? sum : drawn;',
      },
    ],
  },
  {
    name: "agents left out of the order",
    breaks: ["VERSION-UNIQUE"],
    does: "orders operations of one clock by w alone",
    edits: [
      {
        file: "core/version.ts",
        find: "    compareText(a.agent, b.agent) ||\n",
        put: "",
      },
    ],
  },
  {
    name: "clocks go back",
    breaks: ["FLUSH", "W3"],
    does: "uses the clock of a failed flush again",
    edits: [
      {
        file: "core/hybrid-clock.ts",
        find: "const known = Math.max(this.#last.value, above);",
        put: "const known = Math.max(0, above);",
      },
    ],
    test: {
      file: "core/hybrid-clock.test.ts",
      name: "of stores of one process is never given twice",
    },
  },
  {
    name: "half a batch",
    breaks: ["FLUSH", "W1"],
    does: "replays all operations of a flush but the last of several",
    edits: [
      {
        file: "read/load-records.ts",
        find: "for (const operation of segment.operations) {",
        put: "for (const operation of segment.operations.slice(0, Math.max(1, segment.operations.length - 1))) {",
      },
    ],
  },
  {
    name: "segments are overwritten",
    breaks: ["ONCE", "W4"],
    does: "writes a segment whether its name is free or not",
    edits: [
      {
        file: "log/create-object.ts",
        find: "backend.put(path, bytes, { ifAbsent: true }, options)",
        put: 'backend.put(path, bytes, "none", options)',
      },
    ],
    test: {
      file: "log/object-log.test.ts",
      name: "that was cloned leaves the clone's bytes alone",
    },
  },
  {
    name: "no read back of a taken name",
    breaks: ["ONCE", "W4"],
    does: "takes whatever lies under its name for its own",
    edits: [
      {
        file: "log/create-object.ts",
        find: "if (bytes.equals(found.body)) return",
        put: "if (bytes.length > 0) return",
      },
    ],
    test: {
      file: "log/object-log.test.ts",
      name: "that was cloned leaves the clone's bytes alone",
    },
  },
  {
    name: "a taken name is a clone's",
    breaks: ["ONCE", "W4", "W6"],
    does: "writes under a new name without reading back what may be its own",
    edits: [
      {
        file: "log/create-object.ts",
        find: "if (bytes.equals(found.body)) return",
        put: "if (bytes.length === 0) return",
      },
    ],
  },
  {
    name: "a clone keeps its w",
    breaks: ["VERSION-UNIQUE", "W4"],
    does: "continues with the stream that a clone writes, too",
    edits: [
      {
        file: "log/object-writer.ts",
        find: "      if (this.#identity === stream) this.#identity = undefined;\n",
        put: "\n",
      },
    ],
    test: {
      file: "log/object-log.test.ts",
      name: "that was cloned leaves the clone's bytes alone",
    },
  },
  {
    name: "late writes count",
    breaks: ["LATE", "W5"],
    does: "acknowledges a flush however long it took",
    edits: [{ file: "session/flusher.ts", find: "    this.#checkLate(written);\n", put: "\n" }],
  },
  {
    name: "purges catch up with writers",
    breaks: ["LATE"],
    does: "accepts a tombstone grace shorter than two writer lags",
    edits: [
      {
        file: "core/settings.ts",
        find: "if (tombstoneGraceMs < 2 * writerLagMs) {",
        put: "if (tombstoneGraceMs < 0 * writerLagMs) {",
      },
    ],
    test: { file: "core/settings.test.ts", name: "a tombstone is remembered for at least twice" },
  },
  {
    name: "clocks without the listing",
    breaks: ["RECENT", "W3"],
    does: "continues from the manifest's clock, not from that of the live log",
    edits: [
      {
        file: "view/view.ts",
        find: "const clock = listed.reduce((max, { hi }) => Math.max(max, hi), manifest.clock);",
        put: "const clock = listed.length < 0 ? 0 : manifest.clock;",
      },
    ],
  },
  {
    name: "writes on another's look",
    breaks: ["RECENT", "V10"],
    does: "writes without having looked, when the store opened on what was seen before",
    edits: [
      {
        file: "session/replica.ts",
        find: "return isYoung && this.isCurrent;",
        put: "return isYoung && !this.#mustRefresh;",
      },
    ],
    test: {
      file: "store/memory.test.ts",
      name: "what a stale store writes orders above all it did not see",
    },
  },
  {
    name: "unknown is not written",
    breaks: ["W6"],
    does: "reports that nothing was written when its segment could not be read back",
    edits: [
      {
        file: "log/create-object.ts",
        find: "throw new WriteOutcomeUnknownError(`${path} exists, but could not be read back`, {\n        path,",
        put: "throw new UnavailableError(`${path} exists, but could not be read back`, {\n        path,",
      },
      {
        file: "log/create-object.ts",
        find: "import { WriteOutcomeUnknownError }",
        put: "import { UnavailableError, WriteOutcomeUnknownError }",
      },
    ],
    test: {
      file: "log/object-log.test.ts",
      name: "does not know the outcome when what was there is gone or cannot be read",
    },
  },
  {
    name: "unknown is written",
    breaks: ["ACKED", "W6"],
    does: "acknowledges a flush whose outcome is not known",
    edits: [
      {
        file: "session/commit-queue.ts",
        find: "for (const write of failed) write.reject(error);",
        put:
          'for (const write of failed) (error as Error).name === "WriteOutcomeUnknownError"\n' +
          "        ? write.resolve() : write.reject(error);",
      },
    ],
  },
  {
    name: "the queue outlives a failure",
    breaks: ["W6"],
    does: "writes what was queued behind a flush that failed",
    edits: [
      {
        file: "session/commit-queue.ts",
        find: "const failed = [...group, ...this.#queue.splice(0)];",
        put: "const failed = [...group];",
      },
    ],
    test: { file: "store/memory.test.ts", name: "what was queued behind a flush that fails" },
  },
  {
    name: "undo without a look at the winner",
    breaks: ["U2"],
    does: "undoes its last operation also where another has written since",
    edits: [
      {
        file: "session/known-log.ts",
        find: "if (standsFor === undefined || compareVersions(standsFor, own.version) !== 0) return undefined;",
        put: "if (standsFor === undefined) return undefined;",
      },
    ],
  },
  {
    name: "undo of an archive",
    breaks: ["U2", "A4"],
    does: "takes the tombstone of an archive for its own operation",
    edits: [
      {
        file: "session/known-log.ts",
        find: 'if (own.operation.op === "set" && winner.value === undefined) return undefined;',
        put: "",
      },
    ],
    test: { file: "store/memory.test.ts", name: "last operation on an archived record stays" },
  },
  {
    name: "two single writers",
    breaks: ["Single writer"],
    does: "does not check its lease before a flush",
    edits: [
      {
        file: "session/writer-lock.ts",
        find: "if (await confirm(lease, seenMs, path)) return;",
        put: "if (seenMs >= 0 || (await confirm(lease, seenMs, path))) return;",
      },
    ],
    test: { file: "store/memory.test.ts", name: "the dead one writes no more" },
  },
];
