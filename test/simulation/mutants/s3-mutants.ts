/** What `src/s3` makes of single answers, switched off. */
import type { Mutant } from "./mutant.ts";

export const S3_MUTANTS: readonly Mutant[] = [
  {
    name: "an error of the server did nothing",
    breaks: ["W4", "W6"],
    does: "takes what was answered by 500 for not carried out",
    edits: [
      {
        file: "s3/requests/errors.ts",
        find: '["unknown", ["InternalError", ',
        put: '["refused", ["InternalError", ',
      },
    ],
    test: { file: "s3/put.test.ts", name: "is unknown at the deadline when an attempt may have" },
  },
  {
    name: "what was in doubt was not written",
    breaks: ["W6"],
    does: "reports that nothing was written when the time for an ambiguous write is up",
    edits: [
      {
        file: "s3/objects/put.ts",
        find: "if (this.#doubt !== undefined) return this.#unknown(this.#doubt);",
        put: "",
      },
    ],
  },
  {
    name: "a broken body is the object",
    breaks: ["VIEW", "V4"],
    does: "takes what has arrived of a body for all of it",
    edits: [
      {
        file: "s3/requests/exchange.ts",
        find: "return await readAll(body, onChunk, expectedBytes);",
        put: "return await readAll(body, onChunk, expectedBytes).catch(() => new Uint8Array(bytesIn));",
      },
    ],
  },
  {
    name: "one form of an etag",
    breaks: ["C7"],
    does: "does not try the other form of an etag on a server that refuses the first",
    edits: [{ file: "s3/requests/client.ts", find: "this.#putQuoted = !sent.quoted;", put: "" }],
  },
  {
    name: "dates that stand still",
    breaks: ["LATE", "W5"],
    does: "dates every answer alike, as by a clock that stands still",
    edits: [
      {
        file: "s3/requests/exchange.ts",
        find: 'this.dateMs = parseDate(headers["date"]);',
        put: "this.dateMs = 1_767_225_600_000;",
      },
    ],
  },
];
