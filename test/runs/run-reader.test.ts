import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RunEntry } from "../../src/core/version.ts";
import { CorruptionError } from "../../src/core/errors.ts";
import { ByteCache } from "../../src/runs/byte-cache.ts";
import type { RunPart } from "../../src/runs/run-objects.ts";
import { RunReader } from "../../src/runs/run-reader.ts";
import { excise } from "../../src/runs/visible.ts";
import { propertyRuns } from "../support/effort.ts";
import {
  collect,
  ids,
  record,
  records,
  SEED,
  sortedEntries,
  tombstone,
  writeEntries,
} from "./support.ts";

/** Ids by number as `records` makes them. */
const idOf = (n: number): string => `r${String(n).padStart(6, "0")}`;

test("every id written is found, no other is, and a scan returns the input", async () => {
  const absent = fc.array(ids, { maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(sortedEntries(25), absent, async (entries, others) => {
      const model = new Map(entries.map((entry) => [entry.id, entry]));
      const { run, reader, warnings } = await writeEntries(entries);
      const probes = [...model.keys(), ...others];
      const cache = new ByteCache<RunPart>();
      for (const id of probes) expect(await reader(cache).get(id)).toEqual(model.get(id));
      const found = await reader().getMany([...probes, ...probes]);
      expect(found).toEqual(model);
      expect(await collect(reader().scan())).toEqual(entries);
      expect(run.tombstones).toBe(entries.filter(({ text }) => text === undefined).length);
      expect(warnings).toEqual([]);
    }),
    { seed: SEED, numRuns: propertyRuns(80) },
  );
});

test("a scan of a range returns exactly the ids from..to", async () => {
  const bound = fc.option(ids, { nil: undefined });
  await fc.assert(
    fc.asyncProperty(sortedEntries(25), bound, bound, async (entries, from, to) => {
      const { reader } = await writeEntries(entries);
      const expected = entries.filter(({ id }) => {
        return (from === undefined || id >= from) && (to === undefined || id < to);
      });
      expect(await collect(reader().scan({ from, to }))).toEqual(expected);
      const reverse = reader().scan({ from, to, reverse: true });
      expect(await collect(reverse)).toEqual(expected.toReversed());
    }),
    { seed: SEED, numRuns: propertyRuns(150) },
  );
});

describe("a run of several partitions", async () => {
  const entries = records(40_000, 150).filter((_, n) => n % 2 === 0);
  const { backend, run, reader, admitted } = await writeEntries(entries);

  test("is read across their borders", async () => {
    expect(run.partitions).toHaveLength(2);
    const some = entries.filter((_, n) => n % 97 === 0);
    const found = await reader().getMany(some.map(({ id }) => id));
    expect([...found.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual(some);
    expect(await collect(reader().scan())).toEqual(entries);
    const [from, to] = [idOf(101), idOf(39_001)];
    const within = entries.filter(({ id }) => id >= from && id < to);
    expect(await collect(reader().scan({ from, to }))).toEqual(within);
    const reverse = reader().scan({ from, to, reverse: true });
    expect(await collect(reverse)).toEqual(within.toReversed());
  });

  test("admits all that it holds, and at most 1 % of absent ids", async () => {
    const held = entries.map(({ id }) => id);
    expect(await admitted(held)).toEqual(held);
    const absent = Array.from({ length: 20_000 - 1 }, (_, n) => idOf(2 * n + 1));
    expect((await admitted(absent)).length / absent.length).toBeLessThanOrEqual(0.01);
  });

  test("a scan that stops early has read little, and nothing is left running", async () => {
    backend.gets = [];
    for await (const batch of reader().scan()) {
      expect(batch[0]).toEqual(entries[0]);
      break;
    }
    expect(backend.under).toBe(0);
    const bytes = backend.gets.map((get) => Number(get.split("+")[1]));
    expect(bytes.reduce((sum, length) => sum + length, 0)).toBeLessThan(run.bytes);
  });
});

describe("requests", async () => {
  const entries = records(2_000, 900);
  const { backend, run, reader, admitted } = await writeEntries(entries);
  const since = async (action: () => Promise<unknown>): Promise<string[]> => {
    backend.gets = [];
    await action();
    return backend.gets;
  };
  const kinds = (gets: string[]): (string | undefined)[] => gets.map((get) => get.split(" ")[0]);

  test("a point read costs two GETs, one with a warm partition, none with the block", async () => {
    const warm = reader();
    expect(kinds(await since(() => warm.get(idOf(0))))).toEqual(["index", "jsonl"]);
    expect(kinds(await since(() => warm.get(idOf(1_000))))).toEqual(["jsonl"]);
    expect(await since(() => warm.get(idOf(1_000)))).toEqual([]);
    expect(await since(() => warm.get(idOf(1_001)))).toEqual([]);
  });

  test("what the description or the bloom filter denies costs none", async () => {
    const warm = reader();
    expect(await since(() => warm.getMany(["a", "z", ""]))).toEqual([]);
    await warm.get(idOf(0));
    const absent = Array.from({ length: 100 }, (_, n) => `${idOf(n)}-absent`);
    const others = new Set(await admitted(absent));
    const denied = absent.filter((id) => !others.has(id));
    expect(denied.length).toBeGreaterThan(90);
    expect(await since(() => warm.getMany(denied))).toEqual([]);
  });

  test("readers that share a cache share what was read, also while it is under way", async () => {
    const cache = new ByteCache<RunPart>();
    const all = () => Promise.all([0, 1, 2, 0].map((n) => reader(cache).get(idOf(n))));
    expect(kinds(await since(all))).toEqual(["index", "jsonl"]);
    expect(await since(all)).toEqual([]);
  });

  test("many ids share requests: neighbouring blocks come together, up to 1 MiB", async () => {
    const everything = () => reader().getMany(entries.map(({ id }) => id));
    const gets = await since(everything);
    expect(kinds(gets)).toEqual(["index", "jsonl", "jsonl"]);
    const data = gets.slice(1).map((get) => Number(get.split("+")[1]));
    expect(Math.max(...data)).toBeLessThanOrEqual(1024 * 1024);
    expect(data.reduce((sum, length) => sum + length, 0)).toBe(run.bytes - 35);
  });

  test("blocks in memory are left out of a request", async () => {
    const warm = reader();
    await warm.get(idOf(100));
    const gets = await since(() => warm.getMany(entries.slice(0, 250).map(({ id }) => id)));
    expect(kinds(gets)).toEqual(["jsonl", "jsonl"]);
  });

  test("scattered ids are read at most 16 at a time", async () => {
    const scattered = Array.from({ length: 25 }, (_, n) => idOf(n * 80));
    backend.underMax = 0;
    const gets = await since(() => reader().getMany(scattered));
    expect(gets).toHaveLength(26);
    expect(backend.underMax).toBe(16);
  });

  test("a cache that is too small costs requests, never answers", async () => {
    const tiny = reader(new ByteCache<RunPart>(1_000));
    expect(await tiny.get(idOf(7))).toEqual(entries[7]);
    expect(kinds(await since(() => tiny.get(idOf(7))))).toEqual(["index", "jsonl"]);
  });

  test("a scan reads the run once, by growing spans; of a range only its blocks", async () => {
    const spans = (gets: string[]) => gets.map((get) => Number(get.split("+")[1]));
    const whole = await since(() => collect(reader().scan()));
    expect(spans(whole)).toEqual([262_144, 1_048_576, run.bytes - 262_144 - 1_048_576]);
    const part = await since(() => collect(reader().scan({ from: idOf(50), to: idOf(60) })));
    expect(kinds(part)).toEqual(["index", "jsonl"]);
    expect(spans(part)[1]).toBeLessThanOrEqual(2 * 32 * 1024);
    expect(await since(() => collect(reader().scan({ from: "s" })))).toEqual([]);
    expect(await since(() => collect(reader().scan({ to: "a" })))).toEqual([]);
  });
});

describe("a scan that may stop soon", async () => {
  const entries = records(2_000, 900);
  const { backend, run, reader } = await writeEntries(entries);
  const lengths = (): number[] => backend.gets.map((get) => Number(get.split("+")[1])).slice(1);

  test.each([false, true])(
    "reads one block, then spans that grow (reverse: %s)",
    async (reverse) => {
      backend.gets = [];
      const scan = reader().scan({ reverse, firstBytes: 1 })[Symbol.asyncIterator]();
      const first = await scan.next();
      expect(first.value?.[0]).toEqual(reverse ? entries.at(-1) : entries[0]);
      expect(lengths()).toHaveLength(1);
      expect(lengths()[0]).toBeLessThanOrEqual(32 * 1024);
      // A block comes in several batches.
      for (let batch = 1; batch < 100 && lengths().length === 1; batch++) await scan.next();
      expect(lengths().length).toBeGreaterThan(1);
      await scan.return?.();
      expect(backend.under).toBe(0);
      expect(lengths().reduce((sum, length) => sum + length, 0)).toBeLessThan(run.bytes / 4);
    },
  );

  test("returns everything if it continues after all", async () => {
    const reverse = reader().scan({ reverse: true, firstBytes: 40_000 });
    expect(await collect(reverse)).toEqual(entries.toReversed());
  });
});

describe("a run of which spans were taken over", () => {
  const bound = fc.option(ids, { nil: undefined });
  const taken = fc.array(
    fc.record({ from: fc.oneof(fc.constant(""), ids), to: bound }).filter(({ from, to }) => {
      return to === undefined || from < to;
    }),
    { minLength: 1, maxLength: 4 },
  );

  test.each(["whole", "unreadable"])("shows the rest, with its index %s", async (index) => {
    await fc.assert(
      fc.asyncProperty(sortedEntries(25), taken, bound, bound, async (entries, spans, from, to) => {
        const { backend, run, warnings } = await writeEntries(entries);
        if (index === "unreadable") await backend.replace(run.index, (bytes) => bytes.fill(0));
        const left = spans.reduce((each, span) => excise(each, span), run);
        const reader = (): RunReader =>
          new RunReader(backend, new ByteCache(), left, (message) => void warnings.push(message));
        const isTaken = (id: string): boolean =>
          spans.some((span) => span.from <= id && (span.to === undefined || id < span.to));
        const visible = entries.filter(({ id }) => !isTaken(id));
        expect(await collect(reader().scan())).toEqual(visible);
        expect(await collect(reader().entries())).toEqual(visible);
        expect(await collect(reader().scan({ reverse: true }))).toEqual(visible.toReversed());
        expect(await collect(reader().scan({ byBlocks: true, isCopied: true }))).toEqual(visible);
        const within = visible.filter(({ id }) => {
          return (from === undefined || id >= from) && (to === undefined || id < to);
        });
        expect(await collect(reader().scan({ from, to }))).toEqual(within);
        expect(await collect(reader().scan({ from, to, firstBytes: 1 }))).toEqual(within);
        const reverse = { from, to, reverse: true };
        expect(await collect(reader().scan(reverse))).toEqual(within.toReversed());
        const found = await reader().getMany(entries.map(({ id }) => id));
        expect(found).toEqual(new Map(visible.map((entry) => [entry.id, entry])));
        if (index === "whole") expect(warnings).toEqual([]);
      }),
      { seed: SEED, numRuns: propertyRuns(150) },
    );
  });

  test("costs no request for ids that were taken, and few for a scan of the rest", async () => {
    const entries = records(2_000, 900);
    const { backend, run } = await writeEntries(entries);
    const left = excise(run, { from: idOf(10), to: idOf(1_990) });
    const reader = new RunReader(backend, new ByteCache(), left, () => undefined);
    backend.gets = [];
    expect(await reader.getMany([idOf(10), idOf(700), idOf(1_989)])).toEqual(new Map());
    expect(backend.gets).toEqual([]);
    const rest = [...entries.slice(0, 10), ...entries.slice(1_990)];
    expect(await collect(reader.scan())).toEqual(rest);
    const bytes = backend.gets.map((get) => Number(get.split("+")[1]));
    expect(bytes.reduce((sum, length) => sum + length, 0)).toBeLessThan(run.bytes / 8);
  });
});

describe("a scan of what is copied", async () => {
  const entries = records(400, 200);
  const { backend, run } = await writeEntries(entries);
  const spanBytesMax = 8 * 1024;
  const part = { from: idOf(100), to: idOf(120), isCopied: true, spanBytesMax };
  const reader = (some = run): RunReader =>
    new RunReader(backend, new ByteCache(), some, () => undefined);
  const damageData = (bytes: Buffer): Buffer => {
    // A letter of a record, which leaves the line as readable as it was.
    const at = bytes.indexOf("xxx", bytes.indexOf(idOf(110)));
    bytes[at] = "y".charCodeAt(0);
    return bytes;
  };

  test("needs no index: the checksum of the whole run is verified then", async () => {
    const within = entries.slice(100, 120);
    expect(await collect(reader().scan(part))).toEqual(within);
    await backend.replace(run.index, (bytes) => bytes.fill(0));
    expect(await collect(reader().scan(part))).toEqual(within);
    const left = excise(run, { from: idOf(105), to: idOf(300) });
    expect(await collect(reader(left).scan(part))).toEqual(entries.slice(100, 105));
  });

  test("refuses a run whose index and data are damaged, before anything of it is copied", async () => {
    await backend.replace(run.path, damageData);
    const left = excise(run, { from: idOf(0), to: idOf(5) });
    for (const some of [run, left]) {
      const seen: RunEntry[] = [];
      const copying = async (): Promise<void> => {
        for await (const batch of reader(some).scan(part)) seen.push(...batch);
      };
      await expect(copying()).rejects.toThrow(CorruptionError);
      expect(seen).toEqual([]);
      // A reader does with what it can read, as the warning says.
      expect(await collect(reader(some).scan({ ...part, isCopied: false }))).toHaveLength(20);
    }
    const whole = collect(reader(left).scan({ isCopied: true, spanBytesMax }));
    await expect(whole).rejects.toThrow(CorruptionError);
  });
});

test("a line longer than any span is put together", async () => {
  const texts = [9_000_000, 10, 5_000_000, 300_000].map((length) => `"${"é".repeat(length / 2)}"`);
  const entries = texts.map((text, n) => record(`r${n}`, text));
  const { reader } = await writeEntries(entries);
  const same = (found: readonly (RunEntry | undefined)[]): boolean[] =>
    found.map((entry, n) => entry?.text === texts[n]);
  expect(same(await collect(reader().scan()))).toEqual([true, true, true, true]);
  const some = [await reader().get("r0"), await reader().get("r1"), await reader().get("r2")];
  expect(same(some)).toEqual([true, true, true]);
});

test("a tombstone is an answer, not an absence", async () => {
  const { reader } = await writeEntries([record("a"), tombstone("b")]);
  expect(await reader().get("b")).toEqual(tombstone("b"));
  expect(await reader().get("c")).toBeUndefined();
});
