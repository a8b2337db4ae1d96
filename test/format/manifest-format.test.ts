/** Manifests of other formats than the one that is written. */
import { describe, expect, test } from "vitest";
import { CorruptionError, FormatVersionError } from "../../src/core/errors.ts";
import { decodeSealed, sealLine } from "../../src/format/json-line.ts";
import {
  decodeManifest,
  encodeManifest,
  laneFloor,
  type Manifest,
} from "../../src/format/manifest-codec.ts";
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

const objectOf = (manifest: Manifest): Record<string, unknown> => {
  const { crc: _, ...object }: Record<string, unknown> = JSON.parse(
    String(encodeManifest(manifest)),
  );
  return object;
};
const sealed = (object: object): Buffer => Buffer.from(`${sealLine(JSON.stringify(object))}\n`);

test("a manifest of format 5 is refused as newer", () => {
  const newer = sealed({ ...objectOf(EXAMPLE), format: 5 });
  expect(() => decodeManifest(newer, PATH)).toThrow(FormatVersionError);
  expect(() => decodeManifest(newer, PATH)).toThrow("has format 5");
  expect(() => decodeManifest(newer, PATH)).toThrow("reads up to 4");
});

describe("lanes", () => {
  const guarded = { ...EXAMPLE, lanes: [3, 0, 7], guardGraceMs: 60_000, sealed: 2 };

  test("make a manifest one of format 4, which programs of before refuse as newer", () => {
    const bytes = encodeManifest(guarded);
    expect(String(bytes)).toMatch(/^\{"format":4,/);
    expect(decodeManifest(bytes, PATH)).toEqual(guarded);
    // As such a program reads it.
    const older = (): unknown => decodeSealed(bytes, "manifest", { path: PATH, offset: 0 }, 3);
    expect(older).toThrow(FormatVersionError);
    expect(older).toThrow("has format 4");
  });

  test("that are all 0 are an empty list; a store without them has none, and stays in format 2", () => {
    const born = { ...EXAMPLE, lanes: [], guardGraceMs: 60_000 };
    expect(objectOf(born)).toMatchObject({ format: 4, lanes: [] });
    expect(decodeManifest(encodeManifest(born), PATH)).toEqual(born);
    const plain = objectOf(EXAMPLE);
    expect(plain["format"]).toBe(2);
    expect(["lanes", "guardGraceMs", "sealed"].filter((name) => name in plain)).toEqual([]);
    expect(decodeManifest(encodeManifest(EXAMPLE), PATH)).toMatchObject({
      lanes: undefined,
      guardGraceMs: 0,
      sealed: 0,
    });
  });

  test("have a floor each", () => {
    expect([0, 1, 2, 3, 255].map((lane) => laneFloor(guarded, lane))).toEqual([3, 0, 7, 0, 0]);
    expect(laneFloor(EXAMPLE, 0)).toBe(0);
  });

  test.each([
    ["more than there are", { lanes: Array.from({ length: 257 }, () => 1) }],
    ["zeros at their end", { lanes: [1, 0] }],
    ["a number that no name has", { lanes: [10 ** 12] }],
    ["a negative number", { lanes: [-1, 1] }],
    ["seals without lanes", { sealed: 1, lanes: undefined }],
    ["a grace without lanes", { guardGraceMs: 1, lanes: undefined }],
    ["a seal of the future", { sealed: EXAMPLE.generation + 1 }],
  ])("are damaged: %s", (_, fields) => {
    const bytes = sealed({
      ...objectOf(guarded),
      sealed: undefined,
      guardGraceMs: undefined,
      ...fields,
    });
    expect(() => decodeManifest(bytes, PATH)).toThrow(CorruptionError);
  });
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
