import { describe, expect, test } from "vitest";
import { CorruptionError } from "../../src/core/errors.ts";
import { readSnapshotHead, streamSnapshot } from "../../src/legacy/snapshot.ts";
import { RunGoneError } from "../../src/runs/run-gone.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import type { GetOptions, GetResult } from "../../src/storage/backend.ts";
import { lines, SNAPSHOT, snapshotText, TS } from "./support.ts";

const ZERO = { clock: 0, agent: "", writerNonce: "0".repeat(16) };

class MeasuredBackend extends MemoryBackend {
  readonly lengths: number[] = [];

  override get(path: string, options: GetOptions = {}): Promise<GetResult> {
    this.lengths.push(options.range?.length ?? Infinity);
    return super.get(path, options);
  }
}

async function holding(content: string | Uint8Array): Promise<MeasuredBackend> {
  const backend = new MeasuredBackend();
  await backend.initialize("x", { readOnly: false });
  await backend.writeBlob(SNAPSHOT, content);
  return backend;
}

async function read(backend: MeasuredBackend): Promise<{ version: number; records: unknown[] }> {
  const head = await readSnapshotHead(backend, SNAPSHOT);
  const records: unknown[] = [];
  for await (const batch of streamSnapshot(backend, head)) {
    for (const { id, version, schemaVersion: schema, text } of batch) {
      expect([version, schema]).toEqual([ZERO, head.version]);
      records.push([id, text]);
    }
  }
  return { version: head.version, records };
}

const RECORDS: [string, unknown][] = [
  ["b", { n: 1 }],
  ["a", null],
  ["__proto__", [1]],
  ["10", "ü"],
];
const STORED = RECORDS.map(([id, data]) => [id, JSON.stringify(data)]);
/** As JSON.parse orders the keys of an object. */
const OF_OBJECT = [STORED[3], STORED[0], STORED[1], STORED[2]];

describe("the forms of a snapshot", () => {
  const asObject = `{"version":4,"timestamp":"${TS}","records":{${STORED.map(([id, text]) => `${JSON.stringify(id)}:${text}`).join(",")}}}`;

  test.each<[string, string, unknown]>([
    ["lines", snapshotText(RECORDS, 4), STORED],
    ["lines, the last one without its end", snapshotText(RECORDS, 4).trimEnd(), STORED],
    ["lines with blanks between", snapshotText(RECORDS, 4).replaceAll("\n", "\r\n\n"), STORED],
    ["a header alone", lines([{ version: 4, timestamp: TS }]), []],
    ["a header alone without its end", JSON.stringify({ version: 4, timestamp: TS }), []],
    ["one object on one line", asObject, OF_OBJECT],
    ["one object, its line ended", `${asObject}\n`, OF_OBJECT],
    ["one object on many lines", JSON.stringify(JSON.parse(asObject), null, 2), OF_OBJECT],
    [
      "no records on many lines",
      JSON.stringify({ version: 4, timestamp: TS, records: {} }, null, 2),
      [],
    ],
  ])("%s", async (_, content, records) => {
    expect(await read(await holding(content))).toEqual({ version: 4, records });
  });

  test("one object that is larger than what is read at first", async () => {
    const big = Object.fromEntries(
      Array.from({ length: 3_000 }, (_, n) => [`r${n}`, { text: "x".repeat(50) }]),
    );
    for (const indent of [0, 2]) {
      const text = JSON.stringify({ version: 2, timestamp: TS, records: big }, null, indent);
      expect((await read(await holding(text))).records).toHaveLength(3_000);
    }
  });

  test("a line without data is no record; of two lines for one id both are given", async () => {
    const text = lines([
      { version: 1, timestamp: TS },
      { id: "a", data: 1 },
      { id: "b" },
      { id: "a", data: 2 },
    ]);
    expect((await read(await holding(text))).records).toEqual([
      ["a", "1"],
      ["a", "2"],
    ]);
  });
});

test("lines are read in pieces of at most 1 MiB, a record of 50 MB too", async () => {
  const large = "x".repeat(50_000_000);
  const records: [string, unknown][] = [
    ["first", 1],
    ["large", large],
    ["last", { n: 2 }],
  ];
  const backend = await holding(snapshotText(records));
  const found = (await read(backend)).records;
  expect(found.length).toBe(3);
  expect(found[1]).toEqual(["large", JSON.stringify(large)]);
  expect(found[2]).toEqual(["last", '{"n":2}']);
  expect(Math.max(...backend.lengths)).toBe(1024 * 1024);
});

describe("a damaged snapshot is refused, by name", () => {
  const whole = snapshotText(RECORDS);
  const header = lines([{ version: 1, timestamp: TS }]);

  test.each<[string, string | Uint8Array, string]>([
    ["empty", "", "not JSON"],
    ["cut inside a line", whole.slice(0, -9), "line 5"],
    ["a line of garbage", `${header}{"id":"a","data":1}\nnonsense\n`, "line 3"],
    ["a line that is no record", `${header}5\n`, "line 2"],
    ["a record without id", `${header}{"data":1}\n`, "line 2"],
    ["a record with an empty id", `${header}{"id":"","data":1}\n`, "line 2"],
    ["no UTF-8", Buffer.from(whole.replace("ü", "\uffff"), "latin1"), "not UTF-8"],
    ["a header of another kind", "[]\n", "Invalid snapshot: not an object"],
    [
      "a version of another kind",
      '{"version":"1","timestamp":"x"}\n',
      "Invalid snapshot: version must be a positive finite integer",
    ],
    [
      "version 0",
      '{"version":0,"timestamp":"x","records":{}}',
      "Invalid snapshot: version must be a positive finite integer",
    ],
    [
      "no timestamp",
      '{"version":1,"records":{}}',
      "Invalid snapshot: timestamp must be a non-empty string",
    ],
    [
      "records of another kind",
      '{"version":1,"timestamp":"x","records":[]}',
      "Invalid snapshot: records must be an object",
    ],
    [
      "an object cut short",
      JSON.stringify({ version: 1, timestamp: TS, records: { a: 1 } }, null, 2).slice(0, -1),
      "not JSON",
    ],
  ])("%s", async (_, content, message) => {
    const error: unknown = await read(await holding(content)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CorruptionError);
    expect(error).toMatchObject({ path: SNAPSHOT, message: expect.stringContaining(message) });
  });

  test("one that is not there is gone", async () => {
    const backend = await holding(whole);
    const head = await readSnapshotHead(backend, SNAPSHOT);
    await backend.deleteBlob(SNAPSHOT);
    await expect(readSnapshotHead(backend, SNAPSHOT)).rejects.toThrow(RunGoneError);
    await expect(streamSnapshot(backend, head).next()).rejects.toThrow(RunGoneError);
  });
});
