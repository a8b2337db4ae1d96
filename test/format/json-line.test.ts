import fc from "fast-check";
import { expect, test } from "vitest";
import { CorruptionError } from "../../src/core/errors.ts";
import { checkSealedLine, sealLine } from "../../src/format/json-line.ts";
import { flip, SEED } from "../runs/support.ts";
import { propertyRuns } from "../support/effort.ts";

const place = { path: "x", offset: 0 };
const objects = fc.dictionary(fc.string({ minLength: 1 }), fc.jsonValue({ maxDepth: 1 }), {
  minKeys: 1,
});

test("a sealed line is the same object with its checksum last, and holds", () => {
  fc.assert(
    fc.property(objects, fc.uint8Array(), (object, following) => {
      const line = sealLine(JSON.stringify(object), following);
      expect(() => checkSealedLine(line, place, following)).not.toThrow();
      expect(line).toMatch(/,"crc":"[0-9a-f]{8}"\}$/);
      const { crc: _, ...rest }: Record<string, unknown> = JSON.parse(line);
      const { crc: __, ...original }: Record<string, unknown> = JSON.parse(JSON.stringify(object));
      expect(JSON.stringify(rest)).toBe(JSON.stringify(original));
    }),
    { seed: SEED, numRuns: propertyRuns(300) },
  );
});

test("any flipped byte of the line or of what follows is detected", () => {
  const following = Buffer.from("what follows\n");
  const line = Buffer.from(sealLine('{"a":"text","n":1}', following));
  for (let bit = 1; bit < 256; bit *= 2) {
    for (let at = 0; at < line.length; at++) {
      const damaged = flip(line, at, bit).toString();
      expect(() => checkSealedLine(damaged, place, following), `${at}`).toThrow(CorruptionError);
    }
    for (let at = 0; at < following.length; at++) {
      const damaged = flip(following, at, bit);
      expect(() => checkSealedLine(line.toString(), place, damaged)).toThrow(CorruptionError);
    }
  }
});

test("a line without a checksum at its end is refused", () => {
  for (const line of ["", "{}", '{"crc":"00000000","a":1}', '{"a":1,"crc":"0000000"}']) {
    expect(() => checkSealedLine(line, place)).toThrow("no checksum at the end of the line");
  }
});

test("the checksum is zlib's CRC-32 over line, line feed and what follows", () => {
  // By python3: zlib.crc32(b'{"a":1,"crc":"00000000"}\n' + b'x\n')
  expect(sealLine('{"a":1}', Buffer.from("x\n"))).toBe('{"a":1,"crc":"df59b26f"}');
});
