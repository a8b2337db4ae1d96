import { expect, test } from "vitest";
import { CorruptionError, FormatVersionError } from "../../src/core/errors.ts";
import { decodeRetiredList, encodeRetiredList } from "../../src/format/retired-list.ts";

const PATH = "snapshots/snap-0-0123456789abcdef.retired";
const PATHS = ['ops/agent-é \n"x"-1.jsonl', "snapshots/snap-1.jsonl"];

test("a list reads as it was written, an empty one too", () => {
  expect(decodeRetiredList(encodeRetiredList(PATHS), PATH)).toEqual(PATHS);
  expect(decodeRetiredList(encodeRetiredList([]), PATH)).toEqual([]);
  expect(encodeRetiredList(["a"]).toString()).toBe(
    '{"format":1,"kind":"retired","count":1,"bytes":4,"crc":"ea1a3828"}\n"a"\n',
  );
});

test("with any byte changed, or cut short anywhere, it is refused", () => {
  const whole = encodeRetiredList(PATHS);
  for (let at = 0; at < whole.length; at++) {
    const flipped = Buffer.from(whole);
    flipped.writeUInt8((flipped[at] ?? 0) ^ 1, at);
    const cut = whole.subarray(0, at);
    for (const bytes of [flipped, cut]) {
      expect(() => decodeRetiredList(bytes, PATH), `at ${at}`).toThrow(/retired at byte|format/);
    }
  }
  expect(() => decodeRetiredList(Buffer.from("{}\n"), PATH)).toThrow(CorruptionError);
});

test("a newer format is distinguished from damage", () => {
  const newer = Buffer.from('{"format":2,"kind":"retired"}\n');
  expect(() => decodeRetiredList(newer, PATH)).toThrow(FormatVersionError);
});
