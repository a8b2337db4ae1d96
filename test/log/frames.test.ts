import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CorruptionError, FormatVersionError } from "../../src/core/errors.ts";
import { scanFrames } from "../../src/log/frames.ts";
import { flip } from "../runs/support.ts";
import { propertyRuns } from "../support/effort.ts";
import { encodeAll, encoded, SEED, segments } from "./support.ts";

const PATH = "ops/ops-1-0123456789abcdef.1.jsonl";
const START = { path: PATH, offset: 0 };

const FRAMES = [encoded(["a", "b"], 1), encoded(["c"], 3), encoded(["d", "e", "f"], 4)].map(
  ({ bytes }) => bytes,
);
const FILE = Buffer.concat(FRAMES);
const OFFSETS = FRAMES.map((_, n) => Buffer.concat(FRAMES.slice(0, n)).length);
const ENDS = FRAMES.map(({ length }, n) => (OFFSETS[n] ?? 0) + length);

/** Where the frames found lie, and how many reports there are. */
function scan(bytes: Buffer): { readonly found: number[]; readonly reports: number } {
  const { frames, corrupt } = scanFrames(bytes, START);
  return { found: frames.map(({ range }) => range?.offset ?? -1), reports: corrupt.length };
}

test("frames are found one behind the other, with what their headers say", () => {
  const { frames, corrupt, consumedBytes } = scanFrames(FILE, START);
  expect(corrupt).toEqual([]);
  expect(consumedBytes).toBe(FILE.length);
  expect(frames.map(({ key, lo, hi, bytes }) => ({ key, lo, hi, bytes }))).toEqual(
    [
      [1, 2],
      [3, 3],
      [4, 6],
    ].map(([lo, hi], n) => ({ key: `${PATH}@${OFFSETS[n]}`, lo, hi, bytes: FRAMES[n]?.length })),
  );
  expect(scanFrames(Buffer.alloc(0), START)).toEqual({ frames: [], corrupt: [], consumedBytes: 0 });
});

test("any segments make a file that is read back, from any frame border on", () => {
  fc.assert(
    fc.property(fc.array(segments, { minLength: 1, maxLength: 5 }), (all) => {
      const frames = all.map((segment) => encodeAll(segment).bytes);
      const offset = 1_000;
      const result = scanFrames(Buffer.concat(frames), { path: PATH, offset });
      expect(result.corrupt).toEqual([]);
      expect(result.frames.map(({ bytes }) => bytes)).toEqual(frames.map(({ length }) => length));
      expect(result.frames[0]?.range?.offset).toBe(offset);
    }),
    { seed: SEED, numRuns: propertyRuns(100) },
  );
});

describe("a torn end is no frame and no report", () => {
  test("wherever the file is cut", () => {
    for (let length = 0; length < FILE.length; length++) {
      const cut = FILE.subarray(0, length);
      const whole = OFFSETS.filter((offset, n) => offset + (FRAMES[n]?.length ?? 0) <= length);
      expect(scan(cut), `cut at ${length}`).toEqual({ found: whole, reports: 0 });
      const { consumedBytes } = scanFrames(cut, START);
      expect(consumedBytes).toBe(OFFSETS.findLast((offset) => offset <= length));
    }
  });

  test("also when the disk has zeros in place of what was not written", () => {
    for (let length = 0; length < FILE.length; length++) {
      for (const zeros of [1, 600, 5_000]) {
        // One zero in the place of the last byte: a damaged byte, see below.
        if (zeros === 1 && ENDS.includes(length + 1)) continue;
        const bytes = Buffer.concat([FILE.subarray(0, length), Buffer.alloc(zeros)]);
        const whole = OFFSETS.filter((offset, n) => offset + (FRAMES[n]?.length ?? 0) <= length);
        expect(scan(bytes), `cut at ${length}, ${zeros} zeros`).toEqual({
          found: whole,
          reports: 0,
        });
      }
    }
  });

  test("also when a sector in its middle was not written", () => {
    const big = encoded(["big"], 1, "x".repeat(5_000)).bytes;
    const bytes = Buffer.concat([FILE, big]);
    bytes.fill(0, 1_024, 1_536);
    expect(scan(bytes)).toEqual({ found: OFFSETS, reports: 0 });
  });

  test("what follows is read once it is there", () => {
    const first = scanFrames(FILE.subarray(0, (OFFSETS[1] ?? 0) + 20), START);
    expect(first.consumedBytes).toBe(OFFSETS[1]);
    const place = { path: PATH, offset: first.consumedBytes };
    const rest = scanFrames(FILE.subarray(first.consumedBytes), place);
    expect([...first.frames, ...rest.frames]).toEqual(scanFrames(FILE, START).frames);
  });
});

describe("damage is reported", () => {
  test("any byte flipped in any frame costs that frame, and is reported", () => {
    for (let at = 0; at < FILE.length; at++) {
      const hit = OFFSETS.findLastIndex((offset) => offset <= at);
      const damaged = flip(FILE, at, 1);
      const others = OFFSETS.filter((_, n) => n !== hit);
      expect(scan(damaged), `flipped ${at}`).toEqual({ found: others, reports: 1 });
    }
  });

  test("a byte that became zero in a complete frame is damage, not a torn end", () => {
    for (let at = 0; at < FILE.length; at++) {
      const damaged = Buffer.from(FILE);
      damaged[at] = 0;
      expect(scan(damaged).reports, `zero at ${at}`).toBe(1);
    }
  });

  test("so is a space that one flipped bit made zero, at the end of a sector too", () => {
    const big = encoded(["big"], 1, " ".repeat(5_000)).bytes;
    for (const at of [1_023, 1_024, 1_535, 2_047]) {
      expect(scan(Buffer.concat([FILE, flip(big, at - FILE.length, 0x20)])), `${at}`).toEqual({
        found: OFFSETS,
        reports: 1,
      });
    }
  });

  test("many records that look like headers do not make it slow", () => {
    const data = Array.from({ length: 100_000 }, () => ({ format: 1 }));
    const { bytes } = encoded(["x"], 1, data);
    const startedMs = performance.now();
    expect(scan(flip(bytes, 30, 1)).reports).toBe(1);
    expect(scan(bytes.subarray(0, -1))).toEqual({ found: [], reports: 0 });
    // Looking at each as at a header took minutes.
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  test("a frame cut short before a good one is reported, with its place", () => {
    const bytes = Buffer.concat([FILE.subarray(0, (OFFSETS[1] ?? 0) + 40), FRAMES[2] ?? FILE]);
    const { frames, corrupt } = scanFrames(bytes, START);
    expect(frames).toHaveLength(2);
    expect(corrupt).toEqual([expect.any(CorruptionError)]);
    expect(corrupt[0]).toMatchObject({ path: PATH, offset: OFFSETS[1] });
    expect(corrupt[0]?.message).toContain(`${PATH} at byte ${OFFSETS[1]}`);
  });

  test("foreign lines are reported, and what follows them is read", () => {
    const foreign = Buffer.from('{"ts":"2026","op":"set","id":"x","data":{}}\nhello\n');
    expect(scan(Buffer.concat([foreign, FILE]))).toMatchObject({ reports: 1 });
    expect(scan(Buffer.concat([foreign, FILE])).found).toHaveLength(3);
    expect(scan(foreign)).toEqual({ found: [], reports: 1 });
  });

  test("a frame of a newer format stops the reader", () => {
    const newer = Buffer.from('{"format":2,"kind":"segment"}\n');
    expect(() => scanFrames(Buffer.concat([FILE, newer]), START)).toThrow(FormatVersionError);
  });

  test("records that look like frames are not taken for one", () => {
    const header = FRAMES[0]?.toString().split("\n")[0] ?? "";
    for (const data of [{ text: FRAMES[0]?.toString() }, JSON.parse(header), [header]]) {
      const outer = encoded(["x", "y"], 9, data).bytes;
      const damaged = flip(outer, 30, 1);
      expect(scan(Buffer.concat([damaged, FRAMES[1] ?? FILE]))).toEqual({
        found: [damaged.length],
        reports: 1,
      });
    }
  });

  test("a frame that is being appended behind damage is read once it is there", () => {
    const [first = FILE, second = FILE] = FRAMES;
    const damaged = flip(first, first.length - 5, 1);
    const part = scanFrames(Buffer.concat([damaged, second.subarray(0, 60)]), START);
    expect([part.frames, part.corrupt.length, part.consumedBytes]).toEqual([[], 1, damaged.length]);
    const rest = scanFrames(second, { path: PATH, offset: part.consumedBytes });
    expect([rest.frames.length, rest.corrupt]).toEqual([1, []]);
  });
});
