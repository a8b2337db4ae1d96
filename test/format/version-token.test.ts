/** Versions as callers hold them: read back as they were, and refused where they do not belong. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { InvalidArgumentError } from "../../src/core/errors.ts";
import { compareVersions, nextRevision, type Version } from "../../src/core/version.ts";
import { decodeVersionToken, encodeVersionToken } from "../../src/format/version-token.ts";
import { entriesOf, ids, SEED } from "../runs/support.ts";
import { propertyRuns } from "../support/effort.ts";

const CREATED = "2026-11-22T14:01:33.436Z";
const VERSION: Version = { clock: 3, agent: "web-7", writerNonce: "650c35ec63fa1c20" };
const A = { id: "a", created: CREATED };
const TOKEN = encodeVersionToken(VERSION, A);

test("a token is text for URLs and headers, and is read back as the version that it names", () => {
  fc.assert(
    fc.property(entriesOf(ids), fc.constantFrom(undefined, CREATED), ({ id, version }, created) => {
      const token = encodeVersionToken(version, { id, created });
      expect(token).toMatch(/^[\w-]+$/);
      const read = decodeVersionToken(token, { id, created });
      expect(compareVersions(read, version)).toBe(0);
    }),
    { seed: SEED, numRuns: propertyRuns(300) },
  );
  expect(TOKEN.length).toBeLessThan(80);
});

test("it is another one for each version and record", () => {
  const tokens = [
    TOKEN,
    encodeVersionToken(nextRevision(VERSION), A),
    encodeVersionToken({ ...VERSION, clock: 4 }, A),
    encodeVersionToken(VERSION, { ...A, id: "b" }),
  ];
  expect(new Set(tokens).size).toBe(tokens.length);
  expect(encodeVersionToken({ ...VERSION, revision: 0 }, A)).toBe(TOKEN);
});

test("that of another record is refused", () => {
  const decode = (): Version => decodeVersionToken(TOKEN, { ...A, id: "b" });
  expect(decode).toThrow(InvalidArgumentError);
  expect(decode).toThrow(/none of record 'b'/);
});

test("a store's first manifest changes no token of a plain write", () => {
  const early = encodeVersionToken(VERSION, { ...A, created: undefined });
  expect(early).toBe(TOKEN);
  expect(decodeVersionToken(early, A)).toEqual(VERSION);
});

test.each([
  ["a write of the original", { clock: 7, agent: "", writerNonce: "0".repeat(16) }],
  ["a record of its snapshot", { clock: 0, agent: "", writerNonce: "0".repeat(16) }],
  ["a guarded operation on one", { clock: 0, agent: "", writerNonce: "0".repeat(16), revision: 1 }],
  ["a guarded operation on nothing", { clock: 1, agent: "", writerNonce: "", revision: 1 }],
])("that of %s, which other stores have as well, is refused by them", (_, version) => {
  const token = encodeVersionToken(version, A);
  expect(decodeVersionToken(token, A)).toEqual(version);
  const other = { ...A, created: "2020-01-01T00:00:00.000Z" };
  expect(() => decodeVersionToken(token, other)).toThrow(InvalidArgumentError);
  expect(() => decodeVersionToken(token, other)).toThrow(/of this store/);
});

const encode = (content: unknown): string =>
  Buffer.from(JSON.stringify(content)).toString("base64url");

test.each([
  ["nothing", ""],
  ["no text", 7],
  ["null", null],
  ["undefined", undefined],
  ["an object", { toString: () => TOKEN }],
  ["any text", "hello"],
  ["an ETag", `"${TOKEN}"`],
  ["padding", `${TOKEN}=`],
  ["a space", `${TOKEN} `],
  ["too much of it", "W1tb".repeat(100_000)],
  ["JSON that is no array", encode({ length: 5 })],
  ["no version", encode([])],
  ["a clock that is none", encode(["123456", 1.5, "a", "650c35ec63fa1c20"])],
  ["a member too many", encode(["123456", 1, "a", "650c35ec63fa1c20", 1, 1])],
  ["revision 0", encode(["123456", 1, "a", "650c35ec63fa1c20", 0])],
  ["another spelling", Buffer.from('["123456" ,1,"a","650c35ec63fa1c20"]').toString("base64url")],
])("%s is no token", (_, token) => {
  expect(() => decodeVersionToken(token, A)).toThrow(InvalidArgumentError);
  expect(() => decodeVersionToken(token, A)).toThrow(/not a version that versionOf returned/);
});

test("a token with any character changed, or cut short, is refused", () => {
  for (let at = 0; at < TOKEN.length; at++) {
    expect(() => decodeVersionToken(TOKEN.slice(0, at), A)).toThrow(InvalidArgumentError);
    for (const other of "AQgwz09-_") {
      if (other === TOKEN[at]) continue;
      const damaged = TOKEN.slice(0, at) + other + TOKEN.slice(at + 1);
      expect(() => decodeVersionToken(damaged, A), damaged).toThrow(InvalidArgumentError);
    }
  }
});
