import { hash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionError, CorruptionError, FormatVersionError } from "../../src/core/errors.ts";
import { compareText, type RunEntry } from "../../src/core/version.ts";
import { type Archive, decodeArchive, encodeArchive } from "../../src/format/archive-codec.ts";
import { archivePath } from "../../src/format/paths.ts";

const PATH = archivePath({ period: "2026-Q4", base: 7, rand: "9f86d081884c7d65" });
const W = "650c35ec63fa1c20";

function record(id: string, text: string, clock = 3): RunEntry {
  return { id, version: { clock, agent: "web-7", writerNonce: W }, schemaVersion: 1, text };
}

function encode(archive: Archive): Buffer {
  return Buffer.concat([...encodeArchive(archive)]);
}

function decode(bytes: Buffer, path = PATH): Archive {
  return decodeArchive(bytes, hash("sha256", bytes), path);
}

const SAMPLE: Archive = {
  period: "2026-Q4",
  base: 7,
  entries: [record("a", '{"n":1}'), record("b", "null", 9)],
};

test("an archive is a header and the lines of a run", () => {
  expect(encode(SAMPLE).toString()).toBe(
    [
      '{"format":1,"kind":"archive","period":"2026-Q4","base":7}',
      `{"id":"a","clock":3,"agent":"web-7","w":"${W}","v":1,"data":{"n":1}}`,
      `{"id":"b","clock":9,"agent":"web-7","w":"${W}","v":1,"data":null}`,
      "",
    ].join("\n"),
  );
});

const texts = fc.jsonValue().map((value) => JSON.stringify(value));
const ids = fc.string({ minLength: 1, unit: "binary" });
const entries = fc
  .dictionary(ids, fc.tuple(texts, fc.nat(), fc.string(), fc.integer({ min: 1, max: 9 })))
  .map((dictionary) =>
    Object.entries(dictionary)
      .map(([id, [text, clock, agent, schema]]): RunEntry => {
        const version = { clock, agent, writerNonce: W };
        const guarded = schema > 5 ? { ...version, revision: schema } : version;
        return { id, version: guarded, schemaVersion: schema, text };
      })
      .toSorted((a, b) => compareText(a.id, b.id)),
  );

test("what is encoded is decoded, whatever the names and records are", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.nat(), entries, (period, base, records) => {
      const archive = { period, base, entries: records };
      expect(decode(encode(archive))).toEqual(archive);
    }),
  );
});

test("a large archive comes in pieces that join to the same bytes", () => {
  const text = JSON.stringify("ü".repeat(300_000));
  const large = { ...SAMPLE, entries: ["a", "b", "c", "d", "e"].map((id) => record(id, text)) };
  const pieces = [...encodeArchive(large)];
  expect(pieces.length).toBeGreaterThan(1);
  expect(decode(Buffer.concat(pieces))).toEqual(large);
});

test("every single damaged byte, cut and addition is found", () => {
  const bytes = encode(SAMPLE);
  const sha256 = hash("sha256", bytes);
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    for (const found of [damaged, bytes.subarray(0, at)]) {
      expect(() => decodeArchive(found, sha256, PATH), `byte ${at}`).toThrow(
        /archive-2026-Q4-7-9f86d081884c7d65\.jsonl/,
      );
    }
  }
  const longer = Buffer.concat([bytes, Buffer.from("\n")]);
  expect(() => decodeArchive(longer, sha256, PATH)).toThrow(CorruptionError);
});

describe("with a checksum that holds, refuses", () => {
  const [header = "", a = "", b = ""] = encode(SAMPLE).toString().split("\n");
  const tombstone = `{"id":"c","clock":3,"agent":"web-7","w":"${W}","v":1,"deleted":true}`;
  test.each([
    ["nothing", ""],
    ["a header without an end", header],
    ["a run", `{"format":1,"kind":"run","base":7}\n${a}\n`],
    ["an empty period", `${header.replace("2026-Q4", "")}\n${a}\n`],
    ["another spelling of the header", `${header.replace('":7', '": 7')}\n${a}\n`],
    ["a base that is no generation", `${header.replace('":7', '":-7')}\n${a}\n`],
    ["ids that do not ascend", `${header}\n${b}\n${a}\n`],
    ["an id twice", `${header}\n${a}\n${a}\n`],
    ["a tombstone", `${header}\n${a}\n${tombstone}\n`],
    ["a line without an end", `${header}\n${a}`],
    ["an empty line", `${header}\n\n${a}\n`],
  ])("%s", (_, text) => {
    expect(() => decode(Buffer.from(text))).toThrow(CorruptionError);
  });

  test("an archive of a newer format, as such, and before its checksum is checked", () => {
    const newer = Buffer.from(`${header.replace('"format":1', '"format":2')}\n${a}\n`);
    expect(() => decode(newer)).toThrow(FormatVersionError);
    expect(() => decodeArchive(newer, "0".repeat(64), PATH)).toThrow(FormatVersionError);
  });
});

test("what cannot be an archive is not encoded", () => {
  const wrong: Archive[] = [
    { ...SAMPLE, period: "" },
    { ...SAMPLE, base: -1 },
    { ...SAMPLE, entries: SAMPLE.entries.toReversed() },
    { ...SAMPLE, entries: [{ ...record("a", "1"), text: undefined }] },
  ];
  for (const archive of wrong) expect(() => encode(archive)).toThrow(AssertionError);
});
