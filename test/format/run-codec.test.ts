import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionError, CorruptionError, FormatVersionError } from "../../src/core/errors.ts";
import {
  decodeRunHeader,
  decodeRunLine,
  decodeRunLines,
  encodeRunHeader,
  encodeRunLine,
  findRunLine,
} from "../../src/format/run-codec.ts";
import { entriesOf, ids, record, SEED, sortedEntries, tombstone } from "../runs/support.ts";
import { propertyRuns } from "../support/effort.ts";

const place = { path: "snapshots/a.jsonl", offset: 100 };

const generations = fc.oneof(fc.integer({ min: 1 }), fc.constant(Number.MAX_SAFE_INTEGER));

function caught(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return "nothing was thrown";
}

test("a record and a tombstone have one fixed spelling", () => {
  expect(encodeRunLine(record('a"b', '{"n": 1}'))).toBe(
    '{"id":"a\\"b","clock":7,"agent":"a","w":"0123456789abcdef","v":1,"data":{"n": 1}}\n',
  );
  expect(encodeRunLine(tombstone("\ud800"))).toBe(
    '{"id":"\\ud800","clock":7,"agent":"a","w":"0123456789abcdef","v":1,"deleted":true}\n',
  );
  expect(encodeRunLine({ ...tombstone("a"), since: 12 })).toBe(
    '{"id":"a","clock":7,"agent":"a","w":"0123456789abcdef","v":1,"since":12,"deleted":true}\n',
  );
  const { version } = record("a");
  const guarded = { ...record("a", "1"), version: { ...version, revision: 3 } };
  expect(encodeRunLine(guarded)).toBe(
    '{"id":"a","clock":7,"agent":"a","w":"0123456789abcdef","rev":3,"v":1,"data":1}\n',
  );
  const onNothing = { clock: 7, agent: "", writerNonce: "", revision: 1 };
  expect(encodeRunLine({ ...tombstone("a"), version: onNothing, since: 2 })).toBe(
    '{"id":"a","clock":7,"agent":"","w":"","rev":1,"v":1,"since":2,"deleted":true}\n',
  );
  expect(encodeRunLine({ ...record("a", "1"), version: { ...version, revision: 0 } })).toBe(
    encodeRunLine(record("a", "1")),
  );
  const begin = '{"format":1,"kind":"run","base":12';
  expect(encodeRunHeader({ base: 12, compression: "none" })).toBe(`${begin}}`);
  expect(encodeRunHeader({ base: 12, compression: "deflate" })).toBe(
    `${begin},"compression":"deflate-raw"}`,
  );
  expect(encodeRunHeader({ base: 12, compression: "zstd" })).toBe(`${begin},"compression":"zstd"}`);
});

test("decoding returns every entry, the text of its data byte for byte", () => {
  fc.assert(
    fc.property(entriesOf(ids), fc.option(generations, { nil: undefined }), (written, since) => {
      const isNoted = written.text === undefined && since !== undefined;
      const entry = isNoted ? { ...written, since } : written;
      const line = encodeRunLine(entry);
      expect(decodeRunLine(line.slice(0, -1), place)).toEqual(entry);
    }),
    { seed: SEED, numRuns: propertyRuns(300) },
  );
});

test("a line is found by its id among others, data that look like a line notwithstanding", () => {
  fc.assert(
    fc.property(sortedEntries(8), ids, (entries, absent) => {
      const bytes = Buffer.from(entries.map(encodeRunLine).join(""));
      for (const entry of entries) expect(findRunLine(bytes, entry.id, place)).toEqual(entry);
      const known = entries.find(({ id }) => id === absent);
      expect(findRunLine(bytes, absent, place)).toEqual(known);
    }),
    { seed: SEED, numRuns: propertyRuns(100) },
  );
  const decoy = record("a", '{"x":{"id":"b","clock":1}}');
  const bytes = Buffer.from(encodeRunLine(decoy));
  expect(findRunLine(bytes, "b", place)).toBeUndefined();
});

const good = encodeRunLine(record("a", '{"n":1}')).trimEnd();

const deleted = encodeRunLine({ ...tombstone("a"), since: 7 }).trimEnd();

test("a tombstone may keep the generation that held it first, a record may not", () => {
  expect(decodeRunLine(deleted, place)).toEqual({ ...tombstone("a"), since: 7 });
  const noted = { ...record("a"), since: 7 };
  expect(caught(() => encodeRunLine(noted))).toBeInstanceOf(AssertionError);
  for (const since of [0, -1, 1.5, 2 ** 53, Number.NaN]) {
    const line = { ...tombstone("a"), since };
    expect(
      caught(() => encodeRunLine(line)),
      String(since),
    ).toBeInstanceOf(AssertionError);
  }
});

test.each([
  ["generation 0", deleted.replace('"since":7', '"since":0')],
  ["a generation that is no number", deleted.replace('"since":7', '"since":"7"')],
  ["a generation with a fraction", deleted.replace('"since":7', '"since":7.5')],
  ["a generation above 2^53-1", deleted.replace('"since":7', '"since":9007199254740992')],
  ["a generation spelt as 07", deleted.replace('"since":7', '"since":7e0')],
  ["two generations", deleted.replace('"since":7', '"since":7,"since":7')],
  ["its generation before the schema", deleted.replace('"v":1,"since":7', '"since":7,"v":1')],
  [
    "its generation at the end",
    deleted.replace(',"since":7,"deleted":true', ',"deleted":true,"since":7'),
  ],
  ["the generation of a record", good.replace('"v":1', '"v":1,"since":7')],
])("a tombstone with %s is corrupt", (_, line) => {
  expect([good, deleted]).not.toContain(line);
  const error = caught(() => decodeRunLine(line, place));
  expect(error).toBeInstanceOf(CorruptionError);
  expect(error).toMatchObject({ path: place.path, offset: 100 });
});

test.each([
  ["nothing", ""],
  ["no JSON", "hello"],
  ["an empty id", good.replace('"id":"a"', '"id":""')],
  ["an id that is no string", good.replace('"id":"a"', '"id":1')],
  ["no id", good.replace('"id":"a",', "")],
  ["a clock below 0", good.replace('"clock":7', '"clock":-1')],
  ["a clock above 2^52", good.replace('"clock":7', `"clock":${2 ** 52 + 1}`)],
  ["a fraction as clock", good.replace('"clock":7', '"clock":7.5')],
  ["a clock spelt as 7.0", good.replace('"clock":7', '"clock":7.0')],
  ["an agent that is no string", good.replace('"agent":"a"', '"agent":null')],
  ["a short w", good.replace("0123456789abcdef", "0123456789abcde")],
  ["an upper-case w", good.replace("abcdef", "ABCDEF")],
  ["revision 0", good.replace('"v":1', '"rev":0,"v":1')],
  ["a revision below 0", good.replace('"v":1', '"rev":-1,"v":1')],
  ["a revision with a fraction", good.replace('"v":1', '"rev":1.5,"v":1')],
  ["a revision above 2^53-1", good.replace('"v":1', '"rev":9007199254740992,"v":1')],
  ["a revision that is no number", good.replace('"v":1', '"rev":"1","v":1')],
  ["no revision", good.replace('"v":1', '"rev":null,"v":1')],
  ["a revision spelt as 1e0", good.replace('"v":1', '"rev":1e0,"v":1')],
  ["two revisions", good.replace('"v":1', '"rev":1,"rev":1,"v":1')],
  ["a revision behind the schema", good.replace('"v":1', '"v":1,"rev":1')],
  ["a revision before w", good.replace('"w"', '"rev":1,"w"')],
  ["no w", good.replace('"a","w":"0123456789abcdef"', '"","w":""')],
  ["an agent on nothing", good.replace('"0123456789abcdef"', '"","rev":1')],
  ["schema version 0", good.replace('"v":1', '"v":0')],
  ["a field more", good.replace('"v":1', '"v":1,"x":1')],
  ["a field twice", good.replace('"v":1', '"v":1,"v":1')],
  ["fields in another order", good.replace('"clock":7,"agent":"a"', '"agent":"a","clock":7')],
  ["a space", good.replace('"clock":7', '"clock": 7')],
  ["an escape that is not needed", good.replace('"id":"a"', '"id":"\\u0061"')],
  ["neither data nor deleted", good.replace(',"data":{"n":1}', "")],
  ["deleted false", good.replace('"data":{"n":1}', '"deleted":false')],
  ["no data", good.replace('{"n":1}}', "}")],
  ["data cut short", good.replace('{"n":1}}', '{"n":1}')],
  ["data with a space around", good.replace('{"n":1}', ' {"n":1}')],
  ["data of another bracket", good.replace('{"n":1}', '{"n":1]')],
  ["a half literal", good.replace('{"n":1}', "tru")],
  ["an open string", good.replace('{"n":1}', '"')],
  ["a bare word", good.replace('{"n":1}', "x1")],
  ["a sign alone", good.replace('{"n":1}', "-")],
  ["a carriage return", `${good}\r`],
  ["__proto__ in place of id", good.replace('"id":', '"__proto__":')],
])("a line with %s is corrupt", (_, line) => {
  expect(line).not.toBe(good);
  const error = caught(() => decodeRunLine(line, place));
  expect(error).toBeInstanceOf(CorruptionError);
  expect(error).toMatchObject({ path: place.path, offset: 100 });
});

describe("several lines", () => {
  const lines = (...entries: ReturnType<typeof record>[]): Buffer =>
    Buffer.from(entries.map(encodeRunLine).join(""));
  const [a, b] = [record("a"), record("b")];
  const offset = 100 + lines(a).length;

  test("are read in order", () => {
    expect(decodeRunLines(lines(a, b), place)).toEqual([a, b]);
    expect(decodeRunLines(lines(b), place, "a")).toEqual([b]);
    expect(decodeRunLines(Buffer.alloc(0), place)).toEqual([]);
  });

  test("must ascend, each id once", () => {
    for (const entries of [[a, a] as const, [b, a] as const]) {
      const error = caught(() => decodeRunLines(lines(...entries), place));
      expect(error).toBeInstanceOf(CorruptionError);
    }
    expect(caught(() => decodeRunLines(lines(a, a), place))).toMatchObject({ offset });
    expect(caught(() => decodeRunLines(lines(a), place, "a"))).toMatchObject({ offset: 100 });
  });

  test("must end with a line feed", () => {
    const error = caught(() => decodeRunLines(lines(a, b).subarray(0, -1), place));
    expect(error).toBeInstanceOf(CorruptionError);
    expect(error).toMatchObject({ offset });
  });

  test("must be UTF-8", () => {
    const bytes = lines(a, record("b", '"~"'));
    bytes[bytes.lastIndexOf("~")] = 0xff;
    const error = caught(() => decodeRunLines(bytes, place));
    expect(error).toBeInstanceOf(CorruptionError);
    expect(error).toMatchObject({ offset });
  });
});

test("a header of a newer format is distinguished from a foreign one", () => {
  const header = (text: string) => caught(() => decodeRunHeader(text, place));
  for (const compression of ["none", "deflate", "zstd"] as const) {
    const written = { base: 0, compression };
    expect(decodeRunHeader(encodeRunHeader(written), place)).toEqual(written);
  }
  expect(header('{"format":2,"kind":"run","anything":1}')).toBeInstanceOf(FormatVersionError);
  for (const foreign of [
    "",
    "{}",
    "[]",
    '{"format":1,"kind":"index","run":"x"}',
    '{"format":1,"kind":"run"}',
    '{"format":1,"kind":"run","base":-1}',
    '{"format":1,"kind":"run","base":1.5}',
    '{"format":0,"kind":"run","base":1}',
    '{"format":1, "kind":"run","base":1}',
    '{"format":1,"kind":"run","base":1,"compression":"none"}',
    '{"format":1,"kind":"run","base":1,"compression":"deflate"}',
    '{"format":1,"kind":"run","base":1,"compression":"brotli"}',
    '{"format":1,"kind":"run","base":1,"compression":null}',
  ]) {
    expect(header(foreign), foreign).toBeInstanceOf(CorruptionError);
  }
});

test("the encoder refuses what the decoder would", () => {
  const { version } = record("a");
  for (const entry of [
    record(""),
    record("a", ""),
    record("a", '{"n":\n1}'),
    record("a", '"\ud800"'),
    record("a", "undefined"),
    { ...record("a"), schemaVersion: 0 },
    { ...record("a"), version: { ...version, clock: -1 } },
    { ...record("a"), version: { ...version, clock: 2 ** 52 + 1 } },
    { ...record("a"), version: { ...version, writerNonce: "x" } },
    { ...record("a"), version: { ...version, writerNonce: "", revision: 1 } },
    { ...record("a"), version: { ...version, agent: "", writerNonce: "" } },
    { ...record("a"), version: { ...version, revision: -1 } },
    { ...record("a"), version: { ...version, revision: 1.5 } },
    { ...record("a"), version: { ...version, revision: 2 ** 53 } },
  ]) {
    expect(caught(() => encodeRunLine(entry))).toBeInstanceOf(AssertionError);
  }
  expect(caught(() => encodeRunHeader({ base: -1, compression: "none" }))).toBeInstanceOf(
    AssertionError,
  );
});
