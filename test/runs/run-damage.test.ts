/** Whatever happens to the bytes of a run: an error or the right answer, never a wrong record. */
import { describe, expect, test } from "vitest";
import { CorruptionError, OpslogError } from "../../src/core/errors.ts";
import type { RunEntry } from "../../src/core/version.ts";
import { RunGoneError } from "../../src/runs/run-gone.ts";
import type { GetResult } from "../../src/storage/backend.ts";
import {
  type PointReader,
  collect,
  flip,
  INDEX_PATH,
  record,
  records,
  RUN_PATH,
  tombstone,
  writeEntries,
  type WrittenRun,
} from "./support.ts";

const small = [record("a", '{"n":1}'), record("é", '"é"'), tombstone("\uffff")];

/** What a reader gives, or the error it ends with. */
async function outcome(action: Promise<unknown>): Promise<unknown> {
  try {
    return await action;
  } catch (error) {
    if (error instanceof OpslogError) return error;
    throw error;
  }
}

/** Whether every way to read gives the entries, or stops with an error about the data. */
async function isNeverWrong(reader: () => PointReader, entries: RunEntry[]): Promise<boolean> {
  const answers: [unknown, unknown][] = [];
  for (const entry of entries) answers.push([await outcome(reader().get(entry.id)), entry]);
  answers.push([await outcome(reader().get("b")), undefined]);
  answers.push([await outcome(collect(reader().scan())), entries]);
  answers.push([await outcome(collect(reader().scan({ from: "b" }))), entries.slice(1)]);
  return answers.every(([found, expected]) => {
    if (found instanceof OpslogError) return found.action === "stop";
    return JSON.stringify(found) === JSON.stringify(expected);
  });
}

test("any single byte of a run changed is noticed", async () => {
  const { backend, run, reader } = await writeEntries(small);
  const whole = await backend.readBlob(RUN_PATH);
  for (const at of whole.keys()) {
    for (const mask of [0x01, 0x04, 0x20, 0x80]) {
      await backend.writeBlob(RUN_PATH, flip(whole, at, mask));
      expect(await isNeverWrong(reader, small), `byte ${at} ^ ${mask}`).toBe(true);
      const scanned = await outcome(collect(reader().scan()));
      expect(scanned, `scan with byte ${at} ^ ${mask}`).toMatchObject({ action: "stop" });
      if (at >= (run.partitions[0]?.dataOffset ?? 0)) {
        expect(await outcome(reader().get("a"))).toBeInstanceOf(CorruptionError);
      }
    }
  }
});

test("any single byte of an index changed is harmless", async () => {
  const { backend, reader } = await writeEntries(small);
  const whole = await backend.readBlob(INDEX_PATH);
  for (const at of whole.keys()) {
    for (const mask of [0x01, 0x20, 0x80]) {
      await backend.writeBlob(INDEX_PATH, flip(whole, at, mask));
      for (const entry of small) expect(await reader().get(entry.id)).toEqual(entry);
      expect(await reader().get("b")).toBeUndefined();
      expect(await collect(reader().scan({ from: "b" }))).toEqual(small.slice(1));
    }
  }
});

test("a damaged block is named by run and offset; the others are still read", async () => {
  const entries = records(100, 1_000);
  const { backend, run, reader } = await writeEntries(entries);
  await backend.replace(RUN_PATH, (bytes) => flip(bytes, 50_000, 1));
  const bad = entries[50_000 / 1_000]?.id ?? "";
  const error = await outcome(reader().get(bad));
  expect(error).toBeInstanceOf(CorruptionError);
  expect(error).toMatchObject({ path: RUN_PATH });
  const { offset = 0 } = error instanceof CorruptionError ? error : {};
  expect(offset > 0 && offset <= 50_000 && offset > 50_000 - 32 * 1024).toBe(true);
  expect(await reader().get(run.minId)).toEqual(entries[0]);
  expect(await outcome(reader().getMany([run.minId, bad]))).toBeInstanceOf(CorruptionError);
  for (const reverse of [false, true]) {
    const given: string[] = [];
    const scan = async (): Promise<void> => {
      const part = reader().scan({ from: "r000001", reverse });
      for await (const batch of part) given.push(...batch.map(({ id }) => id));
    };
    expect(await outcome(scan())).toMatchObject({ code: "CORRUPTION", path: RUN_PATH, offset });
    const expected = reverse ? entries.toReversed() : entries.slice(1);
    expect(given).toEqual(expected.slice(0, given.length).map(({ id }) => id));
    expect(given.length > 0 && !given.includes(bad)).toBe(true);
  }
});

test("a block that arrives damaged once is read again", async () => {
  const entries = records(100, 1_000);
  for (const read of [
    async (reader: PointReader) => [await reader.get("r000040")],
    (reader: PointReader) => collect(reader.scan({ from: "r000040", to: "r000041" })),
  ]) {
    const { backend, reader } = await writeEntries(entries);
    backend.onGet = (_, result, count): GetResult => {
      if (count !== 2 || result.status !== "found") return result;
      return { ...result, body: flip(Buffer.from(result.body), 100, 1) };
    };
    expect(await read(reader())).toEqual([entries[40]]);
    expect(backend.gets.map((get) => get.split(" ")[0])).toEqual(["index", "jsonl", "jsonl"]);
  }
});

describe("without a readable index", () => {
  const entries = records(3_000, 1_000);
  const checkReads = async ({ reader, warnings }: WrittenRun): Promise<void> => {
    const one = reader();
    expect(await one.get("r000000")).toEqual(entries[0]);
    expect(await one.get("r002999")).toEqual(entries[2_999]);
    expect(await one.get("r002000-absent")).toBeUndefined();
    const ids = ["r000001", "r001500", "r001500-absent"];
    expect([...(await one.getMany(ids)).values()]).toEqual([entries[1], entries[1_500]]);
    const part = one.scan({ from: "r000010", to: "r000020" });
    expect(await collect(part)).toEqual(entries.slice(10, 20));
    const reverse = one.scan({ from: "r000010", reverse: true });
    expect(await collect(reverse)).toEqual(entries.slice(10).toReversed());
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(RUN_PATH);
    expect(warnings[0]).toContain(INDEX_PATH);
  };

  test("cut short, records are found in the data, with one warning", async () => {
    const written = await writeEntries(entries);
    await written.backend.replace(INDEX_PATH, (bytes) => bytes.subarray(0, bytes.length - 20));
    await checkReads(written);
  });

  test("absent, the same", async () => {
    const written = await writeEntries(entries);
    await written.backend.delete([INDEX_PATH]);
    await checkReads(written);
  });

  test("of another run, the same", async () => {
    const written = await writeEntries(entries);
    const other = await writeEntries(records(3_000, 1_001));
    const foreign = await other.backend.readBlob(INDEX_PATH);
    await written.backend.replace(INDEX_PATH, () => foreign);
    await checkReads(written);
  });

  test("the search ends where the last id wanted is found", async () => {
    const { backend, reader } = await writeEntries(entries);
    await backend.delete([INDEX_PATH]);
    backend.gets = [];
    expect(await reader().get("r000003")).toEqual(entries[3]);
    expect(backend.gets.map((get) => get.split("+")[1])).toEqual([
      backend.gets[0]?.split("+")[1],
      "262144",
      "1048576",
    ]);
  });

  test("damaged lines are still refused", async () => {
    const { backend, reader } = await writeEntries(entries);
    await backend.delete([INDEX_PATH]);
    await backend.replace(RUN_PATH, (bytes) => flip(bytes, bytes.indexOf('"clock"') + 1, 1));
    const error = await outcome(reader().get("r000003"));
    expect(error).toBeInstanceOf(CorruptionError);
    expect(error).toMatchObject({ path: RUN_PATH, offset: 35 });
  });
});

test("a partition is read without its index while the other still has one", async () => {
  const entries = records(20_000, 150);
  const { backend, run, reader, warnings } = await writeEntries(entries);
  const { offset = 0 } = run.partitions[1] ?? {};
  await backend.replace(INDEX_PATH, (bytes) => flip(bytes, offset + 5, 1));
  const one = reader();
  expect(await one.get("r000001")).toEqual(entries[1]);
  expect(warnings).toEqual([]);
  expect(await one.get("r019000")).toEqual(entries[19_000]);
  const both = await one.getMany(["r000002", "r019001"]);
  expect(new Set(both.keys())).toEqual(new Set(["r000002", "r019001"]));
  expect(await collect(one.scan({ from: "r015000" }))).toEqual(entries.slice(15_000));
  expect(warnings).toHaveLength(1);
});

test("a run that is gone says so, and does not blame its index", async () => {
  const { backend, reader, warnings } = await writeEntries(small);
  await backend.delete([RUN_PATH, INDEX_PATH]);
  const reads: Promise<unknown>[] = [
    reader().get("a"),
    reader().getMany(["a"]),
    collect(reader().scan()),
    collect(reader().scan({ from: "b" })),
  ];
  for (const read of reads) {
    const error = await outcome(read);
    expect(error).toBeInstanceOf(RunGoneError);
    expect(error).toMatchObject({ path: RUN_PATH, code: "RUN_GONE", action: "retry" });
  }
  expect(warnings).toEqual([]);
});

test("a run of another length than the manifest says is corrupt", async () => {
  for (const change of [
    (bytes: Buffer) => bytes.subarray(0, -1),
    (bytes: Buffer) => Buffer.concat([bytes, Buffer.from("\n")]),
  ]) {
    const { backend, reader } = await writeEntries(small);
    await backend.replace(RUN_PATH, change);
    expect(await outcome(reader().get("a"))).toBeInstanceOf(CorruptionError);
    expect(await outcome(collect(reader().scan()))).toBeInstanceOf(CorruptionError);
  }
});

test("a scan never returns its last batch when the SHA-256 does not hold", async () => {
  const entries = records(2_000, 1_000);
  const { backend, reader } = await writeEntries(entries);
  await backend.replace(RUN_PATH, (bytes) => flip(bytes, bytes.lastIndexOf("xxx"), 1));
  const given: string[] = [];
  const scan = async () => {
    for await (const batch of reader().scan()) given.push(...batch.map(({ id }) => id));
  };
  const error = await outcome(scan());
  expect(error).toBeInstanceOf(CorruptionError);
  expect(error).toMatchObject({ path: RUN_PATH, message: expect.stringContaining("SHA-256") });
  expect(given.length > 0 && !given.includes("r001999")).toBe(true);
});

test("an error of the backend is passed on, not taken for a damaged index", async () => {
  const { backend, reader, warnings } = await writeEntries(records(2_000, 1_000));
  const failure = new Error("unreachable");
  for (const failing of [1, 2]) {
    backend.gets = [];
    backend.onGet = (_, result, count) => {
      if (count === failing) throw failure;
      return result;
    };
    await expect(reader().get("r000001")).rejects.toBe(failure);
    backend.gets = [];
    await expect(collect(reader().scan())).rejects.toBe(failure);
  }
  expect(warnings).toEqual([]);
});
