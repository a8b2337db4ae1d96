import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionError, CorruptionError, FormatVersionError } from "../../src/core/errors.ts";
import { laneOf } from "../../src/core/lane.ts";
import { nextRevision, type Version } from "../../src/core/version.ts";
import {
  type Claim,
  encodeClaim,
  type GuardedOperation,
  segmentsOf,
  type Transaction,
} from "../../src/format/claim.ts";
import { decodeClaim, decodeTransaction } from "../../src/format/claim-decoder.ts";
import { sealLine } from "../../src/format/json-line.ts";
import { filterHash } from "../../src/format/paths.ts";
import { versionOf } from "../../src/format/segment.ts";
import {
  absentAt,
  claimBytes,
  dataClaim,
  guarded,
  idOf,
  NO_RECENT,
  transactionBytes,
} from "../support/claims.ts";
import { propertyRuns } from "../support/effort.ts";
import { flip } from "../runs/support.ts";

const SEED = 20_261_130;
const LANE = 0x3f;
const PLACE = { lane: LANE, n: 12 };
const PATH = "ops/3/lane-3f/000000000012.jsonl";
const TXN = "ops/a/txn-001795356093-a1b2c3d4e5f60718.jsonl";
const NONCE = "9d3e000000000001";
const W = "0c1d000000000000";

const ID = idOf(LANE);
const OTHER = idOf(LANE, 1);
const PLAIN: Version = { clock: 3, agent: "web-1", writerNonce: W };

const writers = fc.record({
  agent: fc.constantFrom("", "web-1", "é", "\ud800"),
  writerNonce: fc.constantFrom(W, "f".repeat(16)),
  schemaVersion: fc.integer({ min: 1, max: 3 }),
});
const bases = fc.oneof(
  fc.constant(absentAt(0)),
  fc.constant(nextRevision(absentAt(7))),
  fc.constant(PLAIN),
  fc.constant({ clock: 0, agent: "", writerNonce: "0".repeat(16) }),
  fc.nat().map((revision) => ({ ...PLAIN, revision: revision + 1 })),
);
const chosen = fc.record({
  writer: writers,
  at: fc.nat(3),
  base: bases,
  data: fc.option(fc.constantFrom({ n: 1 }, null, "", "\ud800", [{}]), { nil: undefined }),
  undoes: fc.option(fc.constantFrom(PLAIN, nextRevision(PLAIN)), { nil: undefined }),
});

/** Several on one id follow one another. */
const operations = fc.array(chosen, { minLength: 1, maxLength: 6 }).map((all) => {
  const versions = new Map<string, Version>();
  return all.map(({ writer, at, base, data, undoes }): GuardedOperation => {
    const id = idOf(LANE, at);
    const on = versions.get(id) ?? base;
    versions.set(id, nextRevision(on));
    const more = undoes === undefined ? { prev: null } : { undoes, prev: { n: 0 } };
    return guarded(id, on, data, more, writer);
  });
});

const recents = fc.record({ from: fc.integer({ min: 1, max: 12 }), at: fc.nat(11) }).map((one) => {
  const [from, n] = [one.from, Math.max(one.from, one.at)];
  return { from, ids: new Map(n < 12 ? [[filterHash(ID), n]] : []) };
});

const claims: fc.Arbitrary<Claim> = fc
  .record({ operations, recent: recents, isRead: fc.boolean(), kind: fc.nat(2) })
  .map(({ kind, isRead, ...rest }) => {
    const head = { ...PLACE, nonce: NONCE, recent: rest.recent };
    const reads = isRead ? [idOf(LANE, 0, "read")] : [];
    if (kind === 0) return { kind: "data", ...head, reads, operations: rest.operations };
    if (kind === 1) return { kind: "intent", ...head, txn: TXN, reads, writes: [ID] };
    return { kind: "seal", ...head };
  });

test("a claim is read back as it was", () => {
  fc.assert(
    fc.property(claims, (claim) => {
      expect(decodeClaim(claimBytes(claim), PATH, PLACE)).toEqual(claim);
    }),
    { seed: SEED, numRuns: propertyRuns(300) },
  );
});

const COMMIT: Transaction = {
  kind: "commit",
  nonce: NONCE,
  at: [PLACE, { lane: 0xc0, n: 4 }],
  operations: [guarded(ID, PLAIN, { n: 1 }), guarded(idOf(0xc0), absentAt(5), undefined)],
};

test("so is a transaction", () => {
  expect(decodeTransaction(transactionBytes(COMMIT), TXN)).toEqual(COMMIT);
  const abort = { kind: "abort", nonce: NONCE } as const;
  expect(decodeTransaction(transactionBytes(abort), TXN)).toEqual(abort);
});

test("they are lines of JSON, as the documentation shows them", () => {
  const recent = { from: 1, ids: new Map([["u6bzuk", 9]]) };
  const writer = { agent: "web-7", writerNonce: "650c35ec63fa1c20", schemaVersion: 1 };
  const [first, second] = [
    guarded(ID, { ...PLAIN, revision: 4 }, { a: 1 }, { prev: null }, writer),
    guarded(OTHER, PLAIN, undefined, {}, { ...writer, agent: "web-8", writerNonce: W }),
  ];
  const claim = dataClaim(PLACE, [first, second], { recent, reads: [] });
  const [head, ...lines] = claimBytes({ ...claim, nonce: NONCE })
    .toString()
    .split("\n");
  const ts = "2026-11-30T00:00:00.000Z";
  expect(lines).toEqual([
    `{"ts":"${ts}","op":"set","id":"${ID}","base":[3,"web-1","${W}",4],"prev":null,"data":{"a":1}}`,
    `{"ts":"${ts}","op":"delete","id":"${OTHER}","base":[3,"web-1","${W}",0],"agent":"web-8","w":"${W}"}`,
    "",
  ]);
  const bytes = lines.join("\n").length;
  expect(head?.replace(/[0-9a-f]{8}"\}$/, '…"}')).toBe(
    `{"format":1,"kind":"claim","lane":"3f","n":12,"agent":"web-7","w":"650c35ec63fa1c20","v":1,` +
      `"count":2,"bytes":${bytes},"nonce":"${NONCE}","reads":[],` +
      `"recent":{"from":1,"ids":[["u6bzuk",9]]},"crc":"…"}`,
  );
  const intent = { ...PLACE, kind: "intent", nonce: NONCE, recent, txn: TXN } as const;
  expect(claimBytes({ ...intent, reads: [], writes: [ID] }).toString()).toMatch(
    `{"format":1,"kind":"intent","lane":"3f","n":12,"txn":"${TXN}","reads":[],"writes":["${ID}"],"nonce":"${NONCE}","recent":{"from":1,"ids":[["u6bzuk",9]]},"crc":"`,
  );
  expect(transactionBytes(COMMIT).toString()).toMatch(
    '{"format":1,"kind":"commit","at":[["3f",12],["c0",4]],"agent":"guard","w":"9999999999999999","v":1,"count":2,',
  );
});

test("an operation has the next revision of its base, and its segment says who wrote it", () => {
  const [a, b] = [{ agent: "a" }, { agent: "b" }];
  const first = guarded(ID, PLAIN, 1, {}, a);
  const second = guarded(ID, nextRevision(PLAIN), 2, {}, a);
  const third = guarded(OTHER, absentAt(9), 3, {}, b);
  const segments = segmentsOf([first, second, third]);
  expect(segments.map(({ agent, operations: all }) => [agent, all.length])).toEqual([
    ["a", 2],
    ["b", 1],
  ]);
  const versions = segments.flatMap((one) => one.operations.map((each) => versionOf(one, each)));
  expect(versions).toEqual([
    { ...PLAIN, revision: 1 },
    { ...PLAIN, revision: 2 },
    { clock: 10, agent: "", writerNonce: "", revision: 1 },
  ]);
});

describe("damage", () => {
  const all: readonly (readonly [string, Buffer, (bytes: Buffer) => unknown])[] = [
    [
      "a claim",
      claimBytes(dataClaim(PLACE, [guarded(ID, PLAIN, { text: "é" })])),
      (bytes) => decodeClaim(bytes, PATH, PLACE),
    ],
    ["a transaction", transactionBytes(COMMIT), (bytes) => decodeTransaction(bytes, PATH)],
  ];

  test.each(all)("of any byte of %s is detected", (_, bytes, decode) => {
    for (const mask of [1, 2, 4, 0x20, 0x80, 0xff]) {
      for (let at = 0; at < bytes.length; at++) {
        let error: unknown;
        try {
          decode(flip(bytes, at, mask));
        } catch (thrown) {
          error = thrown;
        }
        expect(error, `byte ${at}`).toMatchObject({ action: "stop", path: PATH });
      }
    }
  });

  test.each(all)("any cut of %s and any addition is detected", (_, bytes, decode) => {
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decode(bytes.subarray(0, length))).toThrow(CorruptionError);
    }
    for (const more of ["\n", " ", "{}\n", "\0"]) {
      expect(() => decode(Buffer.concat([bytes, Buffer.from(more)]))).toThrow(CorruptionError);
    }
  });

  test("under the name of another number or lane it does not count", () => {
    const bytes = claimBytes(dataClaim(PLACE, [guarded(ID, PLAIN, 1)]));
    for (const named of [
      { ...PLACE, n: 13 },
      { ...PLACE, lane: 0x3e },
    ]) {
      expect(() => decodeClaim(bytes, PATH, named)).toThrow("found number 12 of lane 3f");
    }
  });
});

/** An object whose checksum holds, whatever it says. */
function sealed(header: object, lines: readonly string[] = []): Buffer {
  const body = Buffer.from(lines.map((line) => `${line}\n`).join(""));
  const full = lines.length === 0 ? header : { bytes: body.length, ...header };
  return Buffer.concat([Buffer.from(`${sealLine(JSON.stringify(full), body)}\n`), body]);
}

const RECENT = { from: 12, ids: [] };
const HEAD = { format: 1, lane: "3f", n: 12, nonce: NONCE, recent: RECENT };
const DATA = { ...HEAD, kind: "claim", agent: "", w: W, v: 1, count: 1, reads: [] };
const LINE = `{"ts":"t","op":"set","id":${JSON.stringify(ID)},"base":[3,"web-1","${W}",0],"data":1}`;
const INTENT = { ...HEAD, kind: "intent", txn: TXN, reads: [], writes: [ID] };
const STRANGER = idOf(LANE + 1);

describe("what this code never writes is refused although its checksum holds", () => {
  const decode = (bytes: Buffer): Claim => decodeClaim(bytes, PATH, PLACE);

  test("proper ones are accepted", () => {
    expect(decode(sealed(DATA, [LINE])).kind).toBe("data");
    expect(decode(sealed(INTENT)).kind).toBe("intent");
    expect(decode(sealed({ ...HEAD, kind: "seal" })).kind).toBe("seal");
  });

  test.each([
    ["a missing agent", { agent: undefined }],
    ["w", { w: "xyz" }],
    ["an empty w", { w: "" }],
    ["v", { v: 0 }],
    ["count", { count: 2 }],
    ["bytes", { bytes: 3 }],
    ["kind", { kind: "segment" }],
    ["format", { format: "1" }],
    ["lane", { lane: "3F" }],
    ["n", { n: 0 }],
    ["a number that no name has", { n: 10 ** 12 }],
    ["nonce", { nonce: "9d3e" }],
    ["no recent", { recent: undefined }],
    ["recent from later numbers", { recent: { from: 13, ids: [] } }],
    ["a recent claim before those", { recent: { from: 8, ids: [["aaaaaa", 7]] } }],
    ["itself as recent", { recent: { from: 8, ids: [["aaaaaa", 12]] } }],
    ["the hash of no id", { recent: { from: 8, ids: [["aaaaa1", 8]] } }],
    [
      "one hash twice",
      {
        recent: {
          from: 8,
          ids: [
            ["aaaaaa", 8],
            ["aaaaaa", 9],
          ],
        },
      },
    ],
    ["reads of another lane", { reads: [STRANGER] }],
    ["reads that it writes", { reads: [ID] }],
    ["reads that do not ascend", { reads: [OTHER, OTHER] }],
    ["reads that are none", { reads: [1] }],
  ])("header: %s", (_, header) => {
    expect(() => decode(sealed({ ...DATA, ...header }, [LINE]))).toThrow(CorruptionError);
  });

  test.each([
    ["no base", LINE.replace('"base"', '"basis"')],
    ["a base without revision", LINE.replace(`"${W}",0]`, `"${W}"]`)],
    ["a base of five", LINE.replace(`"${W}",0]`, `"${W}",0,0]`)],
    ["a negative revision", LINE.replace(`"${W}",0]`, `"${W}",-1]`)],
    ["a base without w, of an agent", LINE.replace(`"${W}",0]`, `"",0]`)],
    ["a clock", LINE.replace('"base"', '"clock":3,"base"')],
    ["the header's w", LINE.replace('"data"', `"w":"${W}","data"`)],
    ["the header's agent", LINE.replace('"data"', '"agent":"","data"')],
    ["the header's v", LINE.replace('"data"', '"v":1,"data"')],
    ["another w that is none", LINE.replace('"data"', '"w":"1","data"')],
    ["an id of another lane", LINE.replace(JSON.stringify(ID), JSON.stringify(STRANGER))],
    ["an unknown op", LINE.replace('"set"', '"put"')],
    ["a set without data", LINE.replace(',"data":1', "")],
    ["no JSON", "hello"],
  ])("operation: %s", (_, line) => {
    expect(() => decode(sealed(DATA, [line]))).toThrow(CorruptionError);
  });

  test("a second operation on a record that is not on the first one", () => {
    const next = LINE.replace(`"${W}",0]`, `"${W}",1]`);
    expect(decode(sealed({ ...DATA, count: 2 }, [LINE, next])).kind).toBe("data");
    expect(() => decode(sealed({ ...DATA, count: 2 }, [LINE, LINE]))).toThrow("not on the one");
  });

  test.each([
    ["no ids", { writes: [] }],
    ["an id of another lane", { writes: [STRANGER] }],
    ["an id in both", { reads: [ID] }],
    ["something that is no transaction", { txn: TXN.replace("/a/", "/b/") }],
  ])("intent: %s", (_, header) => {
    expect(() => decode(sealed({ ...INTENT, ...header }))).toThrow(CorruptionError);
    expect(() => decode(sealed({ ...INTENT, bytes: 1 }, [LINE]))).toThrow("more than one line");
  });

  test.each([
    ["lanes that do not ascend", { at: [...PLACES].reverse() }],
    ["a lane twice", { at: [PLACES[0], PLACES[0]] }],
    ["no place of an operation", { at: [PLACES[1]] }],
    ["a place that is none", { at: ["3f", 12] }],
    ["no places", { at: [] }],
  ])("commit: %s", (_, header) => {
    const { reads: _reads, lane: _lane, n: _n, recent: _recent, ...head } = DATA;
    const commit = { ...head, kind: "commit", at: PLACES };
    expect(decodeTransaction(sealed(commit, [LINE]), TXN).kind).toBe("commit");
    const bytes = sealed({ ...commit, ...header }, [LINE]);
    expect(() => decodeTransaction(bytes, TXN)).toThrow(CorruptionError);
  });
});

const PLACES = [
  ["3f", 12],
  ["c0", 4],
];

test("a newer format is distinguished from damage", () => {
  for (const kind of ["claim", "intent", "seal"]) {
    const bytes = sealed({ ...HEAD, kind, format: 2 });
    expect(() => decodeClaim(bytes, PATH, PLACE)).toThrow(FormatVersionError);
  }
  const newer = sealed({ format: 2, kind: "commit" });
  expect(() => decodeTransaction(newer, TXN)).toThrow(FormatVersionError);
});

test("what no decoder can read is a defect of ours, and is not written", () => {
  const claim = dataClaim(PLACE, [guarded(ID, PLAIN, 1)]);
  expect(() => encodeClaim(claim, [])).toThrow(AssertionError);
  expect(() => claimBytes({ ...claim, lane: LANE + 1 })).toThrow(AssertionError);
  expect(() => claimBytes(dataClaim(PLACE, []))).toThrow(AssertionError);
  const twice = dataClaim(PLACE, [guarded(ID, PLAIN, 1), guarded(ID, PLAIN, 2)]);
  expect(() => claimBytes(twice)).toThrow(AssertionError);
  expect(() => claimBytes({ ...claim, recent: NO_RECENT(13) })).toThrow(AssertionError);
  expect(laneOf(ID)).toBe(LANE);
});
