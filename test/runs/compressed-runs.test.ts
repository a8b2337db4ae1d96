/** Runs of compressed blocks: the same answers as without, fewer bytes, and no damage that passes. */
import { hash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import type { Compression } from "../../src/core/compression.ts";
import { CorruptionError, NotSupportedError, OpslogError } from "../../src/core/errors.ts";
import type { RunEntry } from "../../src/core/version.ts";
import { ByteCache } from "../../src/runs/byte-cache.ts";
import { checkRun } from "../../src/runs/run-check.ts";
import type { RunPart } from "../../src/runs/run-objects.ts";
import { propertyRuns } from "../support/effort.ts";
import {
  collect,
  COMPRESSIONS,
  flip,
  ids,
  INDEX_PATH,
  type PointReader,
  record,
  records,
  RUN_PATH,
  SEED,
  sortedEntries,
  tombstone,
  writeEntries,
} from "./support.ts";

const PACKED = COMPRESSIONS.filter((compression) => compression !== "none");

/** Entries of `count` records that no compression makes shorter. */
function incompressible(count: number): RunEntry[] {
  return records(count, 0).map((entry, n) => {
    const digits = Array.from({ length: 7 }, (_, at) => hash("sha512", `${n}.${at}`, "base64"));
    return { ...entry, text: JSON.stringify(digits.join("")) };
  });
}

/** What a reader gives, or the error it ends with. */
async function outcome(action: Promise<unknown>): Promise<unknown> {
  try {
    return await action;
  } catch (error) {
    if (error instanceof OpslogError) return error;
    throw error;
  }
}

describe.each(PACKED)("%s", (compression) => {
  const large = [
    record("a", `"${"é".repeat(40_000)}"`),
    record("b", `"${"x".repeat(9_000_000)}"`),
    record("c", "1"),
  ];
  const kinds: readonly [string, RunEntry[]][] = [
    ["one record of a byte", [record("k", "1")]],
    ["a tombstone", [tombstone("k")]],
    ["records and tombstones", records(3_000, 300).map((e, n) => (n % 3 ? e : tombstone(e.id)))],
    ["text that does not become shorter", incompressible(300)],
    ["records longer than a block, and than a block may expand to", large],
  ];

  test.each(kinds)("%s: every way to read returns the same", async (_, entries) => {
    const { backend, run, reader, warnings } = await writeEntries(entries, compression);
    expect(await checkRun(backend, run)).toEqual([]);
    const probes = [entries[0], entries[entries.length >> 1], entries.at(-1)];
    const readAll = async (): Promise<void> => {
      for (const entry of probes) {
        const same = JSON.stringify(await reader().get(entry?.id ?? "")) === JSON.stringify(entry);
        expect(same).toBe(true);
      }
      const wanted = entries.filter((__, n) => n % 7 === 0).map(({ id }) => id);
      expect([...(await reader().getMany(wanted)).keys()].toSorted()).toEqual(wanted);
      const whole = JSON.stringify(entries);
      expect(JSON.stringify(await collect(reader().scan())) === whole).toBe(true);
      expect(JSON.stringify(await collect(reader().scan({ byBlocks: true }))) === whole).toBe(true);
      const back = await collect(reader().scan({ reverse: true, firstBytes: 1 }));
      expect(JSON.stringify(back.reverse()) === whole).toBe(true);
    };
    await readAll();
    expect(warnings).toEqual([]);
    await backend.delete([INDEX_PATH]);
    await readAll();
    expect(warnings.join()).toContain("without its index");
  });

  test("every id written is found, no other is, and scans return the input", async () => {
    const absent = fc.array(ids, { maxLength: 10 });
    const bound = fc.option(ids, { nil: undefined });
    await fc.assert(
      fc.asyncProperty(
        sortedEntries(25),
        absent,
        bound,
        bound,
        async (entries, others, from, to) => {
          const model = new Map(entries.map((entry) => [entry.id, entry]));
          const { backend, reader, warnings } = await writeEntries(entries, compression);
          const cache = new ByteCache<RunPart>();
          for (const id of [...model.keys(), ...others]) {
            expect(await reader(cache).get(id)).toEqual(model.get(id));
          }
          const within = entries.filter(({ id }) => {
            return (from === undefined || id >= from) && (to === undefined || id < to);
          });
          const scans = async (): Promise<void> => {
            expect(await collect(reader().scan())).toEqual(entries);
            expect(await collect(reader().scan({ from, to }))).toEqual(within);
            const reverse = await collect(reader().scan({ from, to, reverse: true }));
            expect(reverse).toEqual(within.toReversed());
          };
          await scans();
          expect(warnings).toEqual([]);
          await backend.delete([INDEX_PATH]);
          await scans();
        },
      ),
      { seed: SEED, numRuns: propertyRuns(60) },
    );
  });

  const small = [record("a", '{"n":1}'), record("é", '"é"'), tombstone("\uffff")];

  /** Whether every way to read gives the entries, or stops with an error about the data. */
  async function isNeverWrong(reader: () => PointReader): Promise<boolean> {
    const answers: [unknown, unknown][] = [];
    for (const entry of small) answers.push([await outcome(reader().get(entry.id)), entry]);
    answers.push([await outcome(reader().get("b")), undefined]);
    answers.push([await outcome(collect(reader().scan())), small]);
    answers.push([await outcome(collect(reader().scan({ from: "b" }))), small.slice(1)]);
    return answers.every(([found, expected]) => {
      if (found instanceof OpslogError) return found.action === "stop";
      return JSON.stringify(found) === JSON.stringify(expected);
    });
  }

  test.each([false, true])("any bit changed is noticed (without index: %s)", async (unindexed) => {
    const { backend, run, reader } = await writeEntries(small, compression);
    if (unindexed) await backend.delete([INDEX_PATH]);
    const whole = await backend.readBlob(RUN_PATH);
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const at = bit >>> 3;
      await backend.writeBlob(RUN_PATH, flip(whole, at, 1 << (bit & 7)));
      expect(await isNeverWrong(reader), `bit ${bit}`).toBe(true);
      const scanned = await outcome(collect(reader().scan()));
      expect(scanned, `scan with bit ${bit}`).toMatchObject({ action: "stop", path: RUN_PATH });
      if (at >= (run.partitions[0]?.dataOffset ?? 0)) {
        expect(await outcome(reader().get("a"))).toBeInstanceOf(CorruptionError);
      }
    }
  });

  test("any part missing is noticed, also by readers that are told the shorter length", async () => {
    const { backend, run, reader } = await writeEntries(records(100, 1_000), compression);
    const whole = await backend.readBlob(RUN_PATH);
    for (const unindexed of [false, true]) {
      if (unindexed) await backend.delete([INDEX_PATH]);
      const { dataOffset = 0 } = run.partitions[0] ?? {};
      for (let length = dataOffset + 1; length < whole.length; length += unindexed ? 7 : 29) {
        Object.assign(run, { bytes: length });
        await backend.writeBlob(RUN_PATH, whole.subarray(0, length));
        const scanned = await outcome(collect(reader().scan()));
        expect(scanned, `${length} bytes`).toBeInstanceOf(CorruptionError);
        const found = await outcome(reader().get("r000099"));
        expect(found, `${length} bytes`).toBeInstanceOf(CorruptionError);
      }
      Object.assign(run, { bytes: whole.length });
    }
  });

  test("a block is read once more, and one that stays damaged is named; the others are read", async () => {
    const entries = records(400, 1_000);
    const { backend, run, reader } = await writeEntries(entries, compression);
    const middle = run.bytes >> 1;
    await backend.replace(RUN_PATH, (bytes) => flip(bytes, middle, 1));
    const outcomes = await Promise.all(entries.map(({ id }) => outcome(reader().get(id))));
    const bad = outcomes.filter((found) => found instanceof CorruptionError);
    expect(bad.length).toBeGreaterThan(10);
    expect(bad.length).toBeLessThan(40);
    const offsets = new Set(bad.map(({ offset = 0 }) => offset));
    expect(offsets.size).toBe(1);
    expect([...offsets][0]).toBeLessThanOrEqual(middle);
    for (const reverse of [false, true]) {
      const scanned = await outcome(collect(reader().scan({ from: "r000001", reverse })));
      expect(scanned).toMatchObject({
        code: "CORRUPTION",
        path: RUN_PATH,
        offset: [...offsets][0],
      });
    }
    const problems = await checkRun(backend, run);
    expect(problems.map(({ path, offset }) => [path, offset])).toEqual([
      [RUN_PATH, [...offsets][0]],
    ]);
  });

  test("storage and the bytes of cold reads fall, requests stay", async () => {
    const entries = records(4_000, 600).map((entry, n) => {
      const text = {
        title: `Task ${n}`,
        status: n % 3 ? "active" : "done",
        hash: hash("md5", `${n}`),
      };
      return { ...entry, text: JSON.stringify({ ...text, body: `${n} `.repeat(60) }) };
    });
    const costs = async (as: Compression) => {
      const { backend, run, reader } = await writeEntries(entries, as);
      const sum = (): number =>
        backend.gets.reduce((all, get) => all + Number(get.split("+")[1]), 0);
      const warm = reader();
      await warm.get("r000000");
      backend.gets = [];
      await warm.get("r002000");
      const [gets, bytes] = [backend.gets.length, sum()];
      backend.gets = [];
      await collect(reader().scan());
      return { gets, bytes, stored: run.bytes, raw: run.rawBytes, scanned: sum() };
    };
    const [before, after] = [await costs("none"), await costs(compression)];
    expect(after.gets).toBe(before.gets);
    expect([before.raw, after.raw]).toEqual([undefined, before.stored]);
    expect(after.stored).toBeLessThan(before.stored / 3.5);
    expect(after.scanned).toBeLessThan(before.scanned / 3.5);
    expect(after.bytes).toBeLessThan(before.bytes / 3.5);
  });
});

test("what does not become shorter costs a point read a hundred bytes more", async () => {
  const entries = incompressible(500);
  const most = async (compression: Compression): Promise<number> => {
    const { backend, reader } = await writeEntries(entries, compression);
    const warm = reader();
    await warm.get("r000000");
    backend.gets = [];
    for (const { id } of entries) await warm.get(id);
    return Math.max(...backend.gets.map((get) => Number(get.split("+")[1])));
  };
  expect(await most("deflate")).toBeLessThanOrEqual((await most("none")) + 100);
});

test("a run of another compression than its header says is damaged", async () => {
  const entries = records(50, 1_000);
  for (const [written, said] of [
    ["none", "deflate"],
    ["deflate", "none"],
  ] as const) {
    const { backend, run, reader } = await writeEntries(entries, written);
    const other = await (await writeEntries([record("k")], said)).backend.readBlob(RUN_PATH);
    const header = other.subarray(0, other.indexOf(10) + 1);
    const { dataOffset = 0 } = run.partitions[0] ?? {};
    await backend.replace(RUN_PATH, (bytes) => Buffer.concat([header, bytes.subarray(dataOffset)]));
    Object.assign(run, { bytes: run.bytes - dataOffset + header.length });
    const scanned = await outcome(collect(reader().scan()));
    expect(scanned).toBeInstanceOf(CorruptionError);
    expect(scanned).toMatchObject({ message: expect.stringContaining("not as the header says") });
  }
});

test("a runtime without zstd reports such a run by name and reason, however it is read", async () => {
  const zlib = process.getBuiltinModule("node:zlib");
  const compress = (): Buffer => Buffer.from("zstd");
  const having = (functions: object): unknown =>
    vi.spyOn(process, "getBuiltinModule").mockReturnValue({ ...zlib, ...functions });
  try {
    having({ zstdCompressSync: compress, zstdDecompressSync: compress });
    const { backend, run, reader } = await writeEntries(records(10, 1_000), "zstd");
    having({ zstdCompressSync: undefined, zstdDecompressSync: undefined });
    const reads = (): Promise<unknown>[] => [
      reader().get("r000001"),
      collect(reader().scan()),
      collect(reader().scan({ from: "r000001" })),
      collect(reader().scan({ reverse: true })),
      checkRun(backend, run),
    ];
    const expectRefused = async (all: readonly Promise<unknown>[]): Promise<void> => {
      for (const read of all) {
        const error = await outcome(read);
        expect(error).toBeInstanceOf(NotSupportedError);
        expect(error).toMatchObject({
          path: RUN_PATH,
          message: expect.stringContaining("no zstd"),
        });
      }
    };
    await expectRefused(reads());
    await backend.delete([INDEX_PATH]);
    await expectRefused(reads());
  } finally {
    vi.restoreAllMocks();
  }
});
