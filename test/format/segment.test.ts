import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionError, CorruptionError, FormatVersionError } from "../../src/core/errors.ts";
import {
  decodeSegment,
  decodeSegmentHeader,
  decodeSegments,
} from "../../src/format/segment-decoder.ts";
import { encodeSegment } from "../support/encode-segment.ts";
import { encodeOperation, versionOf } from "../../src/format/segment.ts";
import type { Version } from "../../src/core/version.ts";
import type { LogOperation } from "../../src/core/operation.ts";
import { sealLine } from "../../src/format/json-line.ts";
import { encodeAll, encoded, SEED, segments, W } from "../log/support.ts";
import { flip } from "../runs/support.ts";
import { propertyRuns } from "../support/effort.ts";

const place = { path: "ops/x.jsonl", offset: 100 };

test("a segment is read back as it was, header and operations", () => {
  fc.assert(
    fc.property(segments, (segment) => {
      const { bytes, lo, hi } = encodeAll(segment);
      expect(decodeSegment(bytes, place)).toEqual(segment);
      const header = decodeSegmentHeader(bytes.toString().split("\n")[0] ?? "", place);
      expect(header).toMatchObject({
        lo,
        hi,
        count: segment.operations.length,
        schemaVersion: segment.schemaVersion,
      });
      expect(JSON.stringify(decodeSegment(bytes, place).operations.map(({ data }) => data))).toBe(
        JSON.stringify(segment.operations.map(({ data }) => data)),
      );
    }),
    { seed: SEED, numRuns: propertyRuns(300) },
  );
});

test("it is lines of JSON, and a record is written as it is stored", () => {
  const operation = { ts: "t", op: "set", id: "a", clock: 7, prev: null } as const;
  const line = encodeOperation({ ...operation, data: "ignored" }, '{"n": 1.0}');
  expect(line).toBe('{"ts":"t","op":"set","id":"a","clock":7,"prev":null,"data":{"n": 1.0}}');
  const { bytes, filter } = encodeSegment(
    { agent: "", writerNonce: W, schemaVersion: 2, operations: [operation] },
    [line],
  );
  const [head = "", ...rest] = bytes.toString().split("\n");
  expect(rest).toEqual([line, ""]);
  expect(JSON.parse(head)).toEqual({
    format: 1,
    kind: "segment",
    agent: "",
    w: W,
    v: 2,
    count: 1,
    lo: 7,
    hi: 7,
    bytes: line.length + 1,
    filter,
    crc: expect.stringMatching(/^[0-9a-f]{8}$/),
  });
});

const UNDOES = '"undoes":[5,"a","0123456789abcdef"';

test("an undo names the revision that it reverses, where that is not 0", () => {
  const version = { clock: 5, agent: "a", writerNonce: "0123456789abcdef" };
  const onNothing = { clock: 5, agent: "", writerNonce: "", revision: 2 };
  for (const [undoes, text] of [
    [version, `${UNDOES}]`],
    [{ ...version, revision: 0 }, `${UNDOES}]`],
    [{ ...version, revision: 12 }, `${UNDOES},12]`],
    [onNothing, '"undoes":[5,"","",2]'],
    // On a record of the original.
    [{ ...version, clock: 0, revision: 1 }, '"undoes":[0,"a","0123456789abcdef",1]'],
  ] as const) {
    const operation = { ts: "t", op: "delete", id: "a", clock: 7, undoes } as const;
    const line = encodeOperation(operation, undefined);
    expect(line).toBe(`{"ts":"t","op":"delete","id":"a","clock":7,${text}}`);
    const segment = { agent: "", writerNonce: W, schemaVersion: 1, operations: [operation] };
    const { bytes } = encodeSegment(segment, [line]);
    const [read] = decodeSegment(bytes, place).operations;
    const { revision = 0, ...rest }: Version = read?.undoes ?? version;
    const { revision: expected = 0, ...others }: Version = undoes;
    expect([rest, revision]).toEqual([others, expected]);
  }
});

test("an operation has the version of its segment, a guarded one the next above its base", () => {
  const segment = { agent: "b", writerNonce: W };
  expect(versionOf(segment, { clock: 7 })).toEqual({ clock: 7, agent: "b", writerNonce: W });
  const base = { clock: 5, agent: "a", writerNonce: "0123456789abcdef", revision: 3 };
  expect(versionOf(segment, { clock: 5, base })).toEqual({ ...base, revision: 4 });
});

describe("damage", () => {
  const { bytes } = encoded(["a", "\ud800", "c"], 5, { text: "é" });

  test.each([1, 2, 4, 0x20, 0x80, 0xff])("any byte xor %i is detected", (mask) => {
    for (let at = 0; at < bytes.length; at++) {
      let error: unknown;
      try {
        decodeSegment(flip(bytes, at, mask), place);
      } catch (thrown) {
        error = thrown;
      }
      expect(error, `byte ${at}`).toMatchObject({ action: "stop", path: place.path });
    }
  });

  test("any cut and any addition is detected", () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeSegment(bytes.subarray(0, length), place)).toThrow(CorruptionError);
    }
    for (const more of ["\n", " ", "{}\n", "\0"]) {
      const longer = Buffer.concat([bytes, Buffer.from(more)]);
      expect(() => decodeSegment(longer, place)).toThrow(CorruptionError);
    }
  });

  test("the message names the object and the byte of the line", () => {
    expect(() => decodeSegment(bytes.subarray(0, 30), place)).toThrow(
      "ops/x.jsonl at byte 100: no complete header line",
    );
  });
});

/** A segment whose checksum holds, whatever it says. */
function sealed(header: object, lines: readonly string[]): Buffer {
  const body = Buffer.from(lines.map((line) => `${line}\n`).join(""));
  const full = { ...HEADER, bytes: body.length, ...header };
  return Buffer.concat([Buffer.from(`${sealLine(JSON.stringify(full), body)}\n`), body]);
}

const HEADER = {
  format: 1,
  kind: "segment",
  agent: "",
  w: W,
  v: 1,
  count: 1,
  lo: 7,
  hi: 7,
  filter: "0",
};
const LINE = '{"ts":"t","op":"set","id":"a","clock":7,"data":1}';

describe("what this code never writes is refused although its checksum holds", () => {
  test("a proper one is accepted", () => {
    expect(decodeSegment(sealed({}, [LINE]), place).operations).toHaveLength(1);
  });

  test.each([
    ["a missing agent", { agent: undefined }],
    ["w", { w: "xyz" }],
    ["v", { v: 0 }],
    ["count", { count: 2 }],
    ["lo", { lo: 6 }],
    ["hi", { hi: 8 }],
    ["a clock above 2^52", { lo: 2 ** 52 + 1, hi: 2 ** 52 + 1 }],
    ["bytes", { bytes: 3 }],
    ["filter", { filter: "?" }],
    ["kind", { kind: "run" }],
    ["format", { format: "1" }],
    ["format 0", { format: 0 }],
  ])("header: %s", (_, header) => {
    expect(() => decodeSegment(sealed(header, [LINE]), place)).toThrow(CorruptionError);
  });

  test.each([
    ["no JSON", "hello"],
    ["an array", "[]"],
    ["an unknown op", LINE.replace("set", "put")],
    ["a set without data", LINE.replace(',"data":1', "")],
    ["a delete with data", LINE.replace("set", "delete")],
    ["an empty id", LINE.replace('"a"', '""')],
    ["no id", LINE.replace('"id"', '"ID"')],
    ["a clock that is none", LINE.replace('"clock":7', '"clock":7.5')],
    ["two members of what it undoes", LINE.replace('"data"', '"undoes":[5,"a"],"data"')],
    ["five members of what it undoes", LINE.replace('"data"', `${UNDOES},1,1],"data"`)],
    ["revision 0 undone", LINE.replace('"data"', `${UNDOES},0],"data"`)],
    ["a revision below 0 undone", LINE.replace('"data"', `${UNDOES},-1],"data"`)],
    ["a fraction of a revision undone", LINE.replace('"data"', `${UNDOES},1.5],"data"`)],
    [
      "a revision above 2^53-1 undone",
      LINE.replace('"data"', `${UNDOES},9007199254740992],"data"`),
    ],
    ["a text as revision undone", LINE.replace('"data"', `${UNDOES},"1"],"data"`)],
    ["no revision undone", LINE.replace('"data"', `${UNDOES},null],"data"`)],
    ["clock 0 undone", LINE.replace('"data"', '"undoes":[0,"a","0123456789abcdef"],"data"')],
    ["no w undone", LINE.replace('"data"', '"undoes":[5,"",""],"data"')],
    ["an encoding that is none", LINE.replace('"data"', '"encoding":"zip","data"')],
  ])("operation: %s", (_, line) => {
    expect(() => decodeSegment(sealed({}, [line]), place)).toThrow(CorruptionError);
  });

  test("clocks that do not ascend", () => {
    const lines = [7, 9, 8, 9].map((clock) => LINE.replace('"clock":7', `"clock":${clock}`));
    const bytes = sealed({ count: 4, hi: 9 }, lines);
    expect(() => decodeSegment(bytes, place)).toThrow("expected 4, clocks 7..9");
  });
});

describe("segments of one object", () => {
  const parts = [
    { agent: "a", writerNonce: "0".repeat(16), clocks: [7, 8] },
    { agent: "b", writerNonce: "1".repeat(16), clocks: [3] },
    { agent: "a", writerNonce: "2".repeat(16), clocks: [8] },
  ].map(({ agent, writerNonce, clocks }) => {
    const operations = clocks.map((clock): LogOperation => {
      return { ts: "t", op: "set", id: `${agent}-${clock}`, clock, prev: null, data: clock };
    });
    const lines = operations.map((operation) =>
      encodeOperation(operation, String(operation.clock)),
    );
    const one = { agent, writerNonce, schemaVersion: 1, operations };
    return { one, bytes: encodeSegment(one, lines, 3).bytes };
  });
  const bytes = Buffer.concat(parts.map((part) => part.bytes));
  const at = { path: place.path, range: undefined, lo: 3, hi: 8 };

  test("come back in order, each with its own agent and w, together or one alone", () => {
    expect(decodeSegments(bytes, at)).toEqual(parts.map(({ one }) => one));
    const [first, second] = parts;
    const range = { offset: first?.bytes.length ?? 0 };
    const alone = { path: place.path, range, lo: 3, hi: 3 };
    expect(decodeSegments(second?.bytes ?? bytes, alone)).toEqual([second?.one]);
  });

  test("any flipped byte and any cut is found, at the borders too", () => {
    for (let offset = 0; offset < bytes.length; offset++) {
      expect(() => decodeSegments(flip(bytes, offset, 1), at), `byte ${offset}`).toThrow(
        CorruptionError,
      );
      expect(() => decodeSegments(bytes.subarray(0, offset), at), `cut at ${offset}`).toThrow(
        CorruptionError,
      );
    }
  });

  test("one too few or too many, or under a name that lies, is found", () => {
    const [first, second, third] = parts.map((part) => part.bytes);
    for (const some of [
      [first, second],
      [first, second, third, third],
      [third, second],
    ]) {
      const found = Buffer.concat(some.map((part) => part ?? bytes));
      expect(() => decodeSegments(found, at)).toThrow(/expected 3 segments, found [24]/);
    }
    expect(() => decodeSegments(bytes, { ...at, lo: 2 })).toThrow(
      "expected clocks 2..8, found 3..8",
    );
    expect(() => decodeSegments(bytes, { ...at, hi: 9 })).toThrow(
      "expected clocks 3..9, found 3..8",
    );
    expect(() => decodeSegment(bytes, place)).toThrow(/bytes of operations/);
  });
});

test("a newer format is distinguished from damage", () => {
  const newer = sealed({ format: 2 }, ["anything"]);
  expect(() => decodeSegment(newer, place)).toThrow(FormatVersionError);
  expect(() => decodeSegment(newer, place)).toThrow("ops/x.jsonl has format 2");
});

test("an empty segment, or lines that do not match, are a defect of ours", () => {
  const segment = { agent: "", writerNonce: W, schemaVersion: 1, operations: [] };
  expect(() => encodeSegment(segment, [])).toThrow(AssertionError);
  const operation = { ts: "t", op: "delete", id: "a", clock: 1 } as const;
  expect(() => encodeSegment({ ...segment, operations: [operation] }, [])).toThrow(AssertionError);
});
