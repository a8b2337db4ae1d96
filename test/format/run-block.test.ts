/** Packed blocks: what comes out is what went in, or an error that names object and offset. */
import { hash } from "node:crypto";
import { crc32, deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { checkCompression, findZstd } from "../../src/core/compression.ts";
import {
  AssertionError,
  CorruptionError,
  InvalidArgumentError,
  NotSupportedError,
  OpslogError,
} from "../../src/core/errors.ts";
import { sealLine } from "../../src/format/json-line.ts";
import {
  isPacked,
  packBlock,
  packedLength,
  UNPACKED_BYTES_MAX,
  unpackBlock,
} from "../../src/format/run-block.ts";
import { propertyRuns } from "../support/effort.ts";
import { COMPRESSIONS, flip, SEED } from "../runs/support.ts";

const place = { path: "snapshots/x", offset: 1_000 };

const lines: fc.Arbitrary<Buffer> = fc
  .oneof(
    fc.uint8Array({ maxLength: 3_000 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ unit: "binary" }).map((text) => Buffer.from(text)),
    fc.nat(5_000).map((length) => Buffer.from("é".repeat(length))),
  )
  .map((bytes) => Buffer.concat([bytes, Buffer.from("\n")]));

/** Bytes that no compression makes shorter, the same each time. */
function noise(length: number): Buffer {
  const hashes = Array.from({ length: Math.ceil(length / 32) }, (_, n) =>
    hash("sha256", `${n}`, "hex"),
  );
  const bytes = Buffer.from(hashes.join(""), "hex").subarray(0, length);
  bytes[length - 1] = 10;
  return bytes;
}

/** A block with this first line and these bytes, all checksums right. */
function forged(head: Record<string, unknown>, data: Buffer): Buffer {
  const crc = crc32(data).toString(16).padStart(8, "0");
  const line = sealLine(JSON.stringify({ ...head, data: crc }));
  return Buffer.concat([Buffer.from(`${line}\n`), data, Buffer.from("\n")]);
}

test("a packed block has one fixed form", () => {
  const stored = packBlock(Buffer.from("abc\n"), "deflate");
  expect(stored.toString()).toBe(
    '{"block":"none","raw":4,"bytes":4,"data":"4788814e","crc":"6bf612b4"}\nabc\n\n',
  );
  const long = packBlock(Buffer.from(`${"abc".repeat(100)}\n`), "deflate");
  const head = long.toString("latin1").split("\n")[0] ?? "";
  expect(head).toMatch(
    /^\{"block":"deflate-raw","raw":301,"bytes":\d\d,"data":"\w{8}","crc":"\w{8}"\}$/,
  );
  const { bytes } = JSON.parse(head) as { bytes: number };
  expect(long.length).toBe(head.length + 1 + bytes + 1);
});

describe.each(COMPRESSIONS)("%s", (compression) => {
  test("every byte comes out as it went in", () => {
    fc.assert(
      fc.property(lines, (bytes) => {
        const stored = packBlock(bytes, compression);
        expect(isPacked(stored)).toBe(true);
        expect(packedLength(stored, place)).toBe(stored.length);
        const found = unpackBlock(stored, place);
        expect(found.bytes.equals(bytes)).toBe(true);
        expect(found).toMatchObject({ offset: 1_000, end: 1_000 + stored.length, isPacked: true });
      }),
      { seed: SEED, numRuns: propertyRuns(200) },
    );
  });

  test("what does not become shorter is stored as it is, with a short line before it", () => {
    const bytes = noise(32_768);
    const stored = packBlock(bytes, compression);
    expect(stored.includes(bytes)).toBe(true);
    expect(stored.length).toBeLessThan(bytes.length + 100);
    expect(unpackBlock(stored, place).bytes.equals(bytes)).toBe(true);
  });

  test("what is longer than a block may expand to is stored as it is", () => {
    for (const [length, isSmall] of [
      [UNPACKED_BYTES_MAX, compression !== "none"],
      [UNPACKED_BYTES_MAX + 1, false],
    ] as const) {
      const bytes = Buffer.alloc(length, "x");
      bytes[length - 1] = 10;
      const stored = packBlock(bytes, compression);
      expect(stored.length < length / 100).toBe(isSmall);
      expect(unpackBlock(stored, place).bytes.equals(bytes)).toBe(true);
    }
  });

  test("any bit of a block changed, and any part of it missing, is noticed", () => {
    const stored = packBlock(Buffer.from(`${"abc".repeat(20)}\n`.repeat(3)), compression);
    const damaged = [
      ...Array.from({ length: stored.length * 8 }, (_, bit) =>
        flip(stored, bit >>> 3, 1 << (bit & 7)),
      ),
      ...Array.from({ length: stored.length }, (_, length) => stored.subarray(0, length)),
      Buffer.concat([stored, Buffer.from("\n")]),
      Buffer.concat([stored, stored]),
    ];
    for (const bytes of damaged) {
      // Lines of records begin otherwise: their decoder reports what is neither.
      if (!isPacked(bytes)) continue;
      expect(() => unpackBlock(bytes, place)).toThrow(CorruptionError);
    }
  });
});

test("how long a block is shows in its first line, whatever follows", () => {
  const stored = packBlock(noise(5_000), "none");
  const headBytes = stored.indexOf(10) + 1;
  for (let length = 0; length < headBytes; length++) {
    expect(packedLength(stored.subarray(0, length), place)).toBeUndefined();
  }
  expect(packedLength(stored.subarray(0, headBytes), place)).toBe(stored.length);
  expect(packedLength(Buffer.concat([stored, stored]), place)).toBe(stored.length);
  const endless = Buffer.concat([stored.subarray(0, 12), Buffer.alloc(1_000, "x")]);
  expect(() => packedLength(endless, place)).toThrow("expected a line that announces a block");
});

describe("a block whose checksums are right is refused if", () => {
  const whole = Buffer.from(`${"abc".repeat(100)}\n`);
  const data = deflateRawSync(whole);
  const said = { block: "deflate-raw", raw: whole.length, bytes: data.length };
  const bomb = deflateRawSync(Buffer.alloc(64 * 1024 * 1024, "x"));
  const cases: readonly [string, Record<string, unknown>, Buffer][] = [
    ["more comes out than it says", { ...said, raw: whole.length - 1 }, data],
    ["less comes out than it says", { ...said, raw: whole.length + 1 }, data],
    ["it is not compressed so", { ...said, bytes: whole.length - 1 }, whole.subarray(1)],
    ["it is longer than it says", { ...said, bytes: data.length - 1 }, data],
    ["it is shorter than it says", { ...said, bytes: data.length + 1 }, data],
    ["its compression is unknown", { ...said, block: "brotli" }, data],
    ["a length is no number", { ...said, raw: "301" }, data],
    ["it stores more than comes out", { ...said, raw: data.length }, data],
    ["it is stored as it is, of two lengths", { ...said, block: "none" }, data],
    ["it does not end with a line", { block: "none", raw: 1, bytes: 1 }, Buffer.from("x")],
    ["nothing is in it", { block: "none", raw: 0, bytes: 0 }, Buffer.alloc(0)],
    ["it would expand a thousandfold", { ...said, raw: 100_000, bytes: bomb.length }, bomb],
    ["it says that it does", { ...said, raw: 64 * 1024 * 1024, bytes: bomb.length }, bomb],
  ];

  test.each(cases)("%s", (_, head, stored) => {
    const before = process.memoryUsage().arrayBuffers;
    const read = (): unknown => unpackBlock(forged(head, stored), place);
    expect(read).toThrow(CorruptionError);
    expect(read).toThrow("snapshots/x at byte 1000");
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * UNPACKED_BYTES_MAX);
  });
});

test("a block is whole lines", () => {
  expect(() => packBlock(Buffer.from("abc"), "deflate")).toThrow(AssertionError);
  expect(() => packBlock(Buffer.alloc(0), "none")).toThrow(AssertionError);
});

describe("a runtime without zstd", () => {
  const without = <T>(action: () => T): T => {
    const zlib = process.getBuiltinModule("node:zlib");
    const spy = vi.spyOn(process, "getBuiltinModule").mockImplementation((name: string) => {
      return name === "node:zlib"
        ? { ...zlib, zstdCompressSync: undefined, zstdDecompressSync: undefined }
        : undefined;
    });
    try {
      return action();
    } finally {
      spy.mockRestore();
    }
  };
  const outcome = (action: () => unknown): unknown => {
    try {
      return without(action);
    } catch (error) {
      if (error instanceof OpslogError) return error;
      throw error;
    }
  };

  test("reports a block of it by run and reason, and not as damage", () => {
    const data = Buffer.from("of another process");
    const stored = forged({ block: "zstd", raw: 1_000, bytes: data.length }, data);
    const error = outcome(() => unpackBlock(stored, place));
    expect(error).toBeInstanceOf(NotSupportedError);
    expect(error).toMatchObject({
      code: "NOT_SUPPORTED",
      path: "snapshots/x",
      message: expect.stringMatching(/^snapshots\/x is compressed with zstd .*Node v\d+.* no zstd/),
    });
  });

  test("refuses the option with the reason; every other value is known or wrong", () => {
    const error = outcome(() => checkCompression("zstd", "compression"));
    expect(error).toBeInstanceOf(NotSupportedError);
    expect(error).toMatchObject({ message: expect.stringContaining("Node 22.15 and later") });
    expect(without(() => checkCompression("deflate", "compression"))).toBe("deflate");
    expect(checkCompression(undefined, "compression")).toBe("deflate");
    expect(checkCompression("none", "compression")).toBe("none");
    for (const value of ["gzip", "deflate-raw", 1, true, {}]) {
      expect(() => checkCompression(value, "compression")).toThrow(InvalidArgumentError);
    }
    if (findZstd().zstdCompressSync !== undefined)
      expect(checkCompression("zstd", "compression")).toBe("zstd");
  });
});
