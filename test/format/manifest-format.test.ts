/** Manifests of other formats than the one that is written. */
import { describe, expect, test } from "vitest";
import { CorruptionError, FormatVersionError } from "../../src/core/errors.ts";
import { sealLine } from "../../src/format/json-line.ts";
import { decodeManifest, encodeManifest } from "../../src/format/manifest-codec.ts";
import { EXAMPLE, runOf } from "./manifest-example.ts";

const PATH = "manifest.json";

describe("a manifest of format 1", () => {
  const older = (): Record<string, unknown> => {
    const { crc: _, ...object }: Record<string, unknown> = JSON.parse(
      String(encodeManifest(EXAMPLE)),
    );
    const { excised, level, since, ...run } = runOf(EXAMPLE);
    const stored = [1, 2, 3].map((n) => ({
      ...run,
      path: `snapshots/snap-${n}-0123456789abcdef.jsonl`,
      partitions: [["", 1, 2, 3]],
    }));
    expect([excised, level, since]).not.toContain(undefined);
    const { draining: __, ...rest } = object;
    return { ...rest, format: 1, runs: stored };
  };
  const bytesOf = (object: object): Buffer => Buffer.from(`${sealLine(JSON.stringify(object))}\n`);

  test("is read: each run is a level of its own, the last one the newest, and none drains", () => {
    const { runs: found, draining } = decodeManifest(bytesOf(older()), PATH);
    const facts = found.map(({ path, level, since, excised: spans }) => [
      path,
      level,
      since,
      spans,
    ]);
    expect(facts).toEqual(
      [1, 2, 3].map((n) => [
        `snapshots/snap-${n}-0123456789abcdef.jsonl`,
        3 - n,
        undefined,
        undefined,
      ]),
    );
    expect(draining).toEqual([]);
  });

  test("is written as format 2, and is the same", () => {
    const manifest = decodeManifest(bytesOf(older()), PATH);
    const written = encodeManifest(manifest);
    expect(String(written)).toMatch(/^\{"format":2,/);
    expect(decodeManifest(written, PATH)).toEqual(manifest);
  });

  test.each(["0", "-1", "1.5", '"1"', "null", "9", "3", "2", "12", "1e3", "11"])(
    "whose format was damaged to %s is corrupt, not of another version",
    (format) => {
      for (const bytes of [bytesOf(older()), encodeManifest(EXAMPLE)]) {
        const text = String(bytes).replace(/^\{"format":[12],/, `{"format":${format},`);
        if (text === String(bytes)) continue;
        const decode = (): unknown => decodeManifest(Buffer.from(text), PATH);
        expect(decode).toThrow(CorruptionError);
        expect(decode).not.toThrow(FormatVersionError);
      }
    },
  );
});

test("a manifest of format 4 is refused as newer", () => {
  const { crc: _, ...object }: Record<string, unknown> = JSON.parse(
    String(encodeManifest(EXAMPLE)),
  );
  const newer = Buffer.from(`${sealLine(JSON.stringify({ ...object, format: 4 }))}\n`);
  expect(() => decodeManifest(newer, PATH)).toThrow(FormatVersionError);
  expect(() => decodeManifest(newer, PATH)).toThrow("has format 4");
  expect(() => decodeManifest(newer, PATH)).toThrow("reads up to 3");
});

test("a newer format is distinguished from damage", () => {
  const decode = (text: string): unknown => decodeManifest(Buffer.from(text), PATH);
  const newer = '{"format":9,"kind":"manifest"}\n';
  expect(() => decode(newer)).toThrow(FormatVersionError);
  expect(() => decode(newer)).toThrow("has format 9");
  for (const text of ["", "{}", "null", "[]", "hello", '{"format":1}']) {
    expect(() => decode(text)).toThrow(CorruptionError);
  }
});
