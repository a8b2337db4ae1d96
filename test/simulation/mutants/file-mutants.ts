/** Mechanisms of directories (F1 to F5) switched off. */
import type { Mutant } from "./mutant.ts";

export const FILE_MUTANTS: readonly Mutant[] = [
  {
    name: "no fence",
    breaks: ["FENCE", "F5"],
    does: "acknowledges a frame without checking whether its file was sealed",
    edits: [
      {
        file: "log/file-log-writer.ts",
        find: "if (await this.#fenced(open)) {",
        put: "if (open.k < 0 && (await this.#fenced(open))) {",
      },
    ],
  },
  {
    name: "fence in the other order",
    breaks: ["FENCE", "F5"],
    does: "checks first whether its file exists and then for a successor",
    edits: [
      {
        file: "log/file-log-writer.ts",
        find:
          "if (await this.#appendable.exists(logFilePath(stream, k + 1))) return true;\n" +
          "      return !(await file.isInPlace());",
        put:
          "if (!(await file.isInPlace())) return true;\n" +
          "      return await this.#appendable.exists(logFilePath(stream, k + 1));",
      },
    ],
    test: {
      file: "log/file-log.test.ts",
      name: "checks for a successor before it checks its file",
    },
  },
  {
    name: "fence by the file alone",
    breaks: ["FENCE", "F5"],
    does: "does not check for a successor",
    edits: [
      {
        file: "log/file-log-writer.ts",
        find: "if (await this.#appendable.exists(logFilePath(stream, k + 1))) return true;",
        put: "",
      },
    ],
  },
  {
    name: "reads before it seals",
    breaks: ["FENCE", "F4"],
    does: "merges what a file held before its successor existed",
    edits: [
      {
        file: "log/file-log.ts",
        find: "    if (!present.has(successor)) {\n",
        put:
          "    const early = await this.#scan({ path, bytes: Number.MAX_SAFE_INTEGER });\n" +
          "    const read = { frames: [...early.frames], corrupt: early.corrupt };\n" +
          "    if (!present.has(successor)) {\n",
      },
      {
        file: "log/file-log.ts",
        find: "const { frames, corrupt } = await this.#scan({ path, bytes: Number.MAX_SAFE_INTEGER });",
        put: "const { frames, corrupt } = read;",
      },
    ],
    test: {
      file: "log/file-log.test.ts",
      name: "reads what was acknowledged while it was about to seal",
    },
  },
  {
    name: "never seals",
    breaks: ["FENCE", "F4"],
    does: "deletes files that their owners append to",
    edits: [
      {
        file: "log/file-log.ts",
        find: "const seal = await this.#appendable.create(successor);",
        put: "const seal = await Promise.resolve<AppendFile | undefined>(undefined);",
      },
      {
        file: "log/file-log.ts",
        find: "import type { AppendableStorage, ListedObject, StorageBackend }",
        put: "import type { AppendFile, AppendableStorage, ListedObject, StorageBackend }",
      },
    ],
  },
  {
    name: "empty files go unsealed",
    breaks: ["FENCE", "F4"],
    does: "deletes an old empty file without a look after it was sealed",
    edits: [
      {
        file: "log/file-log.ts",
        find: "if (!mayGo) return { errors: [] };",
        put:
          "const unit = { paths, segments: [], corrupt: false };\n" +
          "return mayGo ? { unit, errors: [] } : { errors: [] };",
      },
    ],
    test: { file: "log/file-log.test.ts", name: "seals an empty file before it removes it" },
  },
  {
    name: "an old seal is an empty file like any other",
    breaks: ["FENCE", "F4"],
    does: "deletes an old empty file while the one that it seals is there",
    edits: [
      {
        file: "log/file-log.ts",
        find: "const mayGo = k === 1 ? abandoned :",
        put: "const mayGo = abandoned ||",
      },
    ],
    test: { file: "log/file-log.test.ts", name: "an old seal stays while the file that it seals" },
  },
  {
    name: "seals go first",
    breaks: ["FENCE", "F4"],
    does: "deletes a successor before the file it seals",
    edits: [
      {
        file: "log/file-log.ts",
        find: "for (const path of units.flatMap(({ paths }) => paths)) await",
        put: "for (const path of units.flatMap(({ paths }) => paths.toReversed())) await",
      },
    ],
    test: {
      file: "log/file-log.test.ts",
      name: "reads what was acknowledged while it was about to seal",
    },
  },
  {
    name: "appends behind a torn frame",
    breaks: ["ACKED", "F2"],
    does: "continues with a file in which an append failed",
    edits: [
      {
        file: "log/file-log-writer.ts",
        find: "      await Promise.allSettled([this.#abandon()]);\n      throw error;",
        put: "      throw error;",
      },
    ],
  },
  {
    name: "damage ends a file in silence",
    breaks: ["F3", "C5"],
    does: "takes a damaged frame for a torn end",
    edits: [
      {
        file: "log/frames.ts",
        find: 'return lacksSectors(bytes, { at, end }, place.offset - at) ? "torn" : error;',
        put: 'return lacksSectors(bytes, { at, end }, place.offset - at) ? "torn" : "torn";',
      },
    ],
    test: { file: "log/frames.test.ts", name: "any byte flipped in any frame" },
  },
  {
    name: "fence that asks for any file",
    breaks: ["FENCE", "F5"],
    does: "checks whether a file is at the path, not whether it is the one that is open",
    edits: [
      {
        file: "log/file-log-writer.ts",
        find: "return !(await file.isInPlace());",
        put: "return !(await this.#appendable.exists(logFilePath(stream, k)));",
      },
    ],
  },
  {
    name: "fence by the name of the file",
    breaks: ["FENCE", "F5"],
    does: "takes any file at the path for the one that is open",
    edits: [
      {
        file: "storage/fs/append.ts",
        find: "found?.dev === dev && found.ino === ino && found.size === BigInt(this.#bytes)",
        put: "found !== undefined && dev >= 0n && ino >= 0n",
      },
    ],
    test: { file: "store/replaced.test.ts", name: "replaced by a copy" },
  },
  {
    name: "a lock that no flush asks",
    breaks: ["F6"],
    does: "writes on after another took the lock over",
    edits: [
      {
        file: "storage/fs/lock.ts",
        find: "if (!this.#isLost) return;",
        put: "if (ttlMs > 0) return;",
      },
    ],
    test: { file: "storage/fs-lock-lease.test.ts", name: "a holder beats, and learns" },
  },
  {
    name: "a lock that its date alone ends",
    breaks: ["F6"],
    does: "takes a silent lock over without watching it",
    edits: [
      {
        file: "storage/fs/lock.ts",
        find: "if (isDoubted && (await staysSilent(directory, at, found, ttlMs))) return;",
        put: "void [staysSilent, at];\n  if (isDoubted) return;",
      },
    ],
    test: { file: "storage/fs-lock-lease.test.ts", name: "takes no lock from a holder that beats" },
  },
  {
    name: "a pid that counts in every container",
    breaks: ["F6"],
    does: "takes the pid of another container for one of its own",
    edits: [
      {
        file: "storage/fs/process-identity.ts",
        find: 'if (holder.pidSpace !== here.pidSpace) return "unknown";',
        put: "",
      },
    ],
    test: { file: "storage/fs-lock-lease.test.ts", name: "of a container that shares nothing" },
  },
];
