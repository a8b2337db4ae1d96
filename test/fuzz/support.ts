/**
 * Hostile bytes for decoders: noise, and valid encodings that were changed where it hurts and then
 * sealed again, so that a checksum does not keep the change from the checks behind it.
 */
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { expect } from "vitest";
import { AssertionError, OpslogError } from "../../src/core/errors.ts";
import { propertyRuns } from "../support/effort.ts";

const { FUZZ_RUNS, FUZZ_SEED } = process.env;
/** Cases of each property. */
export const RUNS = Number(FUZZ_RUNS ?? propertyRuns(400));
export const SEED = Number(FUZZ_SEED ?? 20_261_122);
/** No input here is above 1 MiB; a decoder may take so much time and memory for one. */
const MILLISECONDS_MAX = 2_000;
const MEMORY_BYTES_MAX = 64 * 1024 * 1024;

/** Numbers that lengths, counts and clocks are not. */
const NUMBERS = [-1, 0, 0.5, 2 ** 31, 2 ** 32 - 1, 2 ** 52 + 1, 2 ** 53, 1e308, -0];
const TEXTS = [
  "",
  "__proto__",
  "constructor",
  "0",
  "../../x",
  "\u0000",
  "\ud800",
  "x".repeat(5_000),
];
export const NESTED = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
const POLLUTING = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}';
/** JSON to stand in for any value. */
const VALUES: readonly string[] = [
  ...[...NUMBERS, ...TEXTS, null, true, [], {}, [[]], [0, "", null]].map((value) =>
    JSON.stringify(value),
  ),
  NESTED,
  POLLUTING,
  "1e999",
];

export const noise: fc.Arbitrary<Buffer> = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.string({ unit: "binary", maxLength: 300 }).map((text) => Buffer.from(text)),
  fc.json({ maxDepth: 3 }).map((text) => Buffer.from(`${text}\n`)),
  fc.constantFrom(...VALUES).map((text) => Buffer.from(`${text}\n`)),
  fc.constantFrom("", "\n", "{", '{"format":', '{"format":1}\n').map((text) => Buffer.from(text)),
);

/** One change, its place and its stuff given as fractions, so that it applies to any text. */
const changes = fc.record({
  kind: fc.constantFrom("value", "drop", "double", "cut", "bytes", "swap", "pollute"),
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  pick: fc.nat(),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 4 }),
});

/** A valid encoding with one to three changes. @param reseals whether checksums are made to hold */
export function mutated(valid: fc.Arbitrary<Buffer>, reseals: boolean): fc.Arbitrary<Buffer> {
  return fc.tuple(valid, fc.array(changes, { minLength: 1, maxLength: 3 })).map(([bytes, all]) => {
    const changed = all.reduce((before, change) => apply(before, change), bytes);
    return reseals ? reseal(changed) : changed;
  });
}

function apply(
  bytes: Buffer,
  { kind, at, pick, bytes: stuff }: { kind: string; at: number; pick: number; bytes: Uint8Array },
): Buffer {
  const text = bytes.toString("latin1");
  const place = Math.floor(at * bytes.length);
  const lines = text.split("\n");
  const line = Math.floor(at * lines.length);
  switch (kind) {
    case "value": {
      const value = VALUES[pick % VALUES.length] ?? "null";
      const fields = [...text.matchAll(/(?<=":)(?:"(?:[^"\\]|\\.)*"|[-\d.e]+|null|\[[^[\]]*\])/g)];
      const field = fields[Math.floor(at * fields.length)];
      if (field === undefined) return bytes;
      const end = field.index + field[0].length;
      return Buffer.from(text.slice(0, field.index) + value + text.slice(end), "latin1");
    }
    case "drop":
      return Buffer.from(text.replace(/"\w+":[^,{}[\]]*,/, ""), "latin1");
    case "double":
      return Buffer.from(lines.toSpliced(line, 0, lines[line] ?? "").join("\n"), "latin1");
    case "cut":
      return bytes.subarray(0, place);
    case "swap":
      return Buffer.from(lines.toReversed().join("\n"), "latin1");
    case "pollute":
      return Buffer.from(text.replace("{", `{"__proto__":{"polluted":1},`), "latin1");
    default:
      return Buffer.concat([bytes.subarray(0, place), stuff, bytes.subarray(place + (pick % 3))]);
  }
}

/** Makes the checksum of the first sealed line hold, whatever the line says now. */
function reseal(bytes: Buffer): Buffer {
  const seal = /"crc":"[0-9a-f]{8}"\}(?=\n|$)/.exec(bytes.toString("latin1"));
  if (seal === null) return bytes;
  const digits = seal.index + '"crc":"'.length;
  const open = Buffer.from(bytes);
  open.fill("0", digits, digits + 8);
  const lineStart = open.lastIndexOf("\n", seal.index) + 1;
  const covered = open.subarray(lineStart);
  const whole = covered.includes("\n") ? covered : Buffer.concat([covered, Buffer.from("\n")]);
  open.write(crc32(whole).toString(16).padStart(8, "0"), digits, "latin1");
  return open;
}

/**
 * What a decoder gives; undefined when it refuses as it may: with an error of ours that is no
 * complaint about ourselves. Bounds the time and memory it takes.
 */
export function decoded<T>(decode: () => T): T | undefined {
  const before = memory();
  const startedMs = performance.now();
  let value: T | undefined;
  try {
    value = decode();
  } catch (error) {
    if (!(error instanceof OpslogError) || error instanceof AssertionError) throw error;
    expect(error.message.length, "an error must not flood a log").toBeLessThan(12_000);
  }
  expect(performance.now() - startedMs, "milliseconds").toBeLessThan(MILLISECONDS_MAX);
  expect(memory() - before, "bytes").toBeLessThan(MEMORY_BYTES_MAX);
  expect(Reflect.get({}, "polluted")).toBeUndefined();
  return value;
}

function memory(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Noise and changed encodings, each through the check. */
export function fuzz(valid: fc.Arbitrary<Buffer>, check: (bytes: Buffer) => void): void {
  const inputs = fc.oneof(
    { arbitrary: noise, weight: 1 },
    { arbitrary: mutated(valid, false), weight: 2 },
    { arbitrary: mutated(valid, true), weight: 4 },
  );
  fc.assert(fc.property(inputs, check), { seed: SEED, numRuns: RUNS });
}
