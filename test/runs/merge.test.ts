import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionError } from "../../src/core/errors.ts";
import { type Entry, type RunEntry, wins } from "../../src/core/version.ts";
import {
  fromMap,
  fromSorted,
  inTurn,
  mergeParts,
  mergeSorted,
  type Part,
} from "../../src/runs/merge.ts";
import { propertyRuns } from "../support/effort.ts";
import { collect, entriesOf, record, SEED, tombstone } from "./support.ts";

const fewIds = fc.constantFrom("a", "b", "c", "\ud800", "😀", "\uffff", "__proto__", "aa");

/** A source cut into batches of the given sizes, 0 included, that tells when it was closed. */
class Source {
  readonly #entries: readonly RunEntry[];
  readonly #sizes: readonly number[];
  isClosed = false;

  constructor(entries: readonly RunEntry[], sizes: readonly number[]) {
    this.#entries = entries;
    this.#sizes = sizes;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly RunEntry[]> {
    try {
      let start = 0;
      for (const size of this.#sizes) {
        yield this.#entries.slice(start, start + size);
        start += size;
      }
      await Promise.resolve();
      yield this.#entries.slice(start);
    } finally {
      this.isClosed = true;
    }
  }
}

const source = fc
  .record({
    entries: fc.uniqueArray(entriesOf(fewIds), { selector: ({ id }) => id, maxLength: 8 }),
    sizes: fc.array(fc.nat({ max: 3 }), { maxLength: 4 }),
  })
  .map(({ entries, sizes }) => ({
    entries: entries.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    sizes,
  }));

test("merging returns each id once, in order, with the entry that wins", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(source, { maxLength: 9 }), async (inputs) => {
      const model = new Map<string, RunEntry>();
      for (const { entries } of inputs) {
        for (const entry of entries) {
          if (wins(entry, model.get(entry.id))) model.set(entry.id, entry);
        }
      }
      const sources = inputs.map(({ entries, sizes }) => new Source(entries, sizes));
      const merged = await collect(mergeSorted(sources));
      expect(merged.map(({ id }) => id)).toEqual([...model.keys()].toSorted());
      for (const entry of merged) expect(entry).toEqual(model.get(entry.id));
      expect(sources.every(({ isClosed }) => isClosed)).toBe(true);
    }),
    { seed: SEED, numRuns: propertyRuns(300) },
  );
});

test("sources that descend are merged from the highest id to the lowest", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(source, { maxLength: 9 }), async (inputs) => {
      const up = await collect(mergeSorted(inputs.map(({ entries }) => fromSorted(entries))));
      const reversed = inputs.map(({ entries, sizes }) => new Source(entries.toReversed(), sizes));
      const down = await collect(mergeSorted(reversed, { reverse: true }));
      expect(down).toEqual(up.toReversed());
    }),
    { seed: SEED, numRuns: propertyRuns(150) },
  );
  const ascending = new Source([record("a"), record("b")], []);
  const wrong = collect(mergeSorted([ascending], { reverse: true }));
  await expect(wrong).rejects.toThrow(AssertionError);
});

test("what is merged is returned before more is awaited, if the option says so", async () => {
  const [first, second] = [record("a"), record("b")];
  let asked = 0;
  async function* slow(): AsyncGenerator<RunEntry[]> {
    yield await Promise.resolve([first, second]);
    asked++;
    yield [record("c")];
  }
  const merged = mergeSorted([slow()], { isPrompt: true });
  expect(await merged.next()).toEqual({ done: false, value: [first] });
  expect(asked).toBe(0);
  await merged.return(undefined);
  expect(await mergeSorted([slow()]).next()).toMatchObject({ value: [{}, {}, { id: "c" }] });
});

describe("parts", () => {
  /** Of ids, each a source of one part; an opened one gives nothing before all of some are open. */
  function sourcesOf(spans: readonly string[], waitFor: number): AsyncIterable<Part>[] {
    let [open, openAll]: [number, () => void] = [0, () => {}];
    const all = new Promise<void>((resolve) => (openAll = resolve));
    return spans.map(async function* each(ids) {
      async function* entries(): AsyncGenerator<RunEntry[]> {
        if (++open === waitFor) openAll();
        await all;
        yield ids.split("").map((id) => record(id));
      }
      yield await Promise.resolve({ from: ids[0] ?? "", to: `${ids.at(-1)} `, entries });
    });
  }

  test.each([
    ["of one id", ["a", "a", "a"], 3, ["a"]],
    ["that begin within the first", ["adg", "be", "cf"], 3, ["abcdefg"]],
    ["that follow are given whole", ["ac", "b", "d"], 2, ["abc", { from: "d" }]],
  ])("that overlap are opened at once, those %s", async (_, spans, opened, expected) => {
    const given: unknown[] = [];
    for await (const batch of mergeParts<RunEntry, Part>(sourcesOf(spans, opened))) {
      given.push(Array.isArray(batch) ? batch.map(({ id }) => id).join("") : batch);
    }
    expect(given).toMatchObject(expected);
  });

  test("that overlap are closed when one of them fails", async () => {
    const closed: string[] = [];
    async function* failing(name: string): AsyncGenerator<Part> {
      async function* entries(): AsyncGenerator<RunEntry[]> {
        try {
          yield await Promise.resolve([record("a")]);
          if (name === "first") throw new Error("broken");
          yield [record("b")];
        } finally {
          closed.push(`inside ${name}`);
        }
      }
      try {
        yield await Promise.resolve({ from: "a", to: "c", entries });
      } finally {
        closed.push(name);
      }
    }
    const merged = mergeParts<RunEntry, Part>([failing("first"), failing("second")]);
    const read = async (): Promise<void> => {
      for await (const batch of merged) expect(batch).toBeInstanceOf(Array);
    };
    await expect(read()).rejects.toThrow("broken");
    expect(closed.toSorted()).toEqual(["first", "inside first", "inside second", "second"]);
  });
});

test("twenty sources of different lengths come out in order", async () => {
  const inputs = Array.from({ length: 20 }, (_, n) =>
    Array.from({ length: n * 50 }, (__, i) => record(String(i * (n + 1)).padStart(6, "0"))),
  );
  const merged = await collect(mergeSorted(inputs.map((entries) => fromSorted(entries))));
  const expected = new Set(inputs.flat().map(({ id }) => id));
  expect(merged.map(({ id }) => id)).toEqual([...expected].toSorted());
});

test("large records make small batches", async () => {
  const large = Array.from({ length: 6 }, (_, i) => record(`r${i}`, `"${"x".repeat(10_000)}"`));
  const sizes: number[] = [];
  for await (const batch of mergeSorted([fromSorted(large)])) sizes.push(batch.length);
  expect(sizes).toEqual([2, 2, 2]);
});

describe("every source is closed", () => {
  const entries = Array.from({ length: 3_000 }, (_, i) => record(String(i).padStart(5, "0")));
  const sources = () => [new Source(entries, [1_500]), new Source(entries, [10, 2_000])];

  test("when the reader stops early", async () => {
    const both = sources();
    for await (const batch of mergeSorted(both)) {
      expect(batch.length).toBeGreaterThan(0);
      break;
    }
    expect(both.map(({ isClosed }) => isClosed)).toEqual([true, true]);
  });

  test("when one of them fails, and its error comes out", async () => {
    const failure = new Error("cannot be read");
    async function* failing(): AsyncGenerator<RunEntry[]> {
      yield await Promise.resolve([record("00001")]);
      throw failure;
    }
    const both = sources();
    await expect(collect(mergeSorted([...both, failing()]))).rejects.toBe(failure);
    expect(both.map(({ isClosed }) => isClosed)).toEqual([true, true]);
  });
});

test("a source that does not ascend is a defect, within a batch and between two", async () => {
  const twice = [record("a"), record("a")];
  for (const sizes of [[], [1]]) {
    await expect(collect(mergeSorted([new Source(twice, sizes)]))).rejects.toThrow(AssertionError);
  }
});

describe("sources that follow each other", () => {
  const parts = [["a", "b"], [], ["c"], ["d", "e"]].map((ids) => ids.map((id) => record(id)));

  test("are one source, each opened when the one before has ended", async () => {
    const events: string[] = [];
    const opens = parts.map((entries, n) => () => {
      events.push(`open ${n}`);
      return new Source(entries, []);
    });
    const found: string[] = [];
    for await (const batch of inTurn(opens)) {
      for (const { id } of batch) events.push(id);
      found.push(...batch.map(({ id }) => id));
    }
    expect(found).toEqual(["a", "b", "c", "d", "e"]);
    const expected = ["open 0", "a", "b", "open 1", "open 2", "c", "open 3", "d", "e"];
    expect(events).toEqual(expected);
  });

  test("that is left early closes the open one, and opens no other", async () => {
    const opened: Source[] = [];
    const opens = parts.map((entries) => () => {
      opened.push(new Source(entries, [1]));
      return opened.at(-1) ?? fromSorted([]);
    });
    for await (const batch of inTurn(opens)) {
      expect(batch).toHaveLength(1);
      break;
    }
    expect(opened.map(({ isClosed }) => isClosed)).toEqual([true]);
  });

  test("that are not in order are found by the merge", async () => {
    const wrong = inTurn([() => fromSorted([record("b")]), () => fromSorted([record("a")])]);
    await expect(collect(mergeSorted([wrong]))).rejects.toThrow(AssertionError);
  });

  test("are merged with others like the whole", async () => {
    const opens = parts.map((entries) => () => fromSorted(entries));
    const other = fromSorted([tombstone("b"), record("bb"), tombstone("e")]);
    const merged = await collect(mergeSorted([inTurn(opens), other]));
    const expected = ["a", "b", "bb", "c", "d", "e"].map((id) =>
      id === "b" || id === "e" ? tombstone(id) : record(id),
    );
    expect(merged).toEqual(expected);
  });
});

test("a map becomes a source in the order of UTF-16 code units", async () => {
  const ids = ["b", "😀", "\uffff", "a", "\ud800", "__proto__"];
  const map = new Map<string, Entry>(ids.map((id) => [id, record(id)]));
  const entries = await collect(fromMap(map));
  expect(entries.map(({ id }) => id)).toEqual(["__proto__", "a", "b", "\ud800", "😀", "\uffff"]);
  expect(entries).toEqual(entries.map(({ id }) => record(id)));
});
