/** scan: id order over memory, log and runs, in both directions, within a range. */
import { expect, onTestFailed, test } from "vitest";
import { InvalidArgumentError, NotOpenError } from "../../../src/core/errors.ts";
import type { ScanOptions } from "../../../src/store/scan-range.ts";
import type { Store } from "../../../src/store/store.ts";
import { dice, runSeed } from "../../processes/random.ts";
import { type Fixture, type MakeMedium, setUp } from "../fixture.ts";
import { fill, idsBelow, taken } from "../streamed.ts";
import { watchBackend } from "../watched-backend.ts";

const ODD_IDS = [
  "\u0000",
  "a",
  "a\u0000",
  "e\u0301",
  "é",
  "\ud800",
  "😀",
  "\uffff",
  "\uffff\uffff",
];

export function scanCases(make: MakeMedium): void {
  rangeCases(make);
  viewCases(make);
  randomCases(make);
}

export async function idsOf(store: Store<unknown>, options?: ScanOptions): Promise<string[]> {
  return (await taken(store.scan(options))).map(([id]) => id);
}

/** Stores that hold everything, and stores that hold nothing yet. */
export async function readers({
  open,
  medium,
}: Fixture): Promise<[Store<unknown>, Store<unknown>]> {
  const cold = (): ReturnType<typeof medium.backend> => watchBackend(medium.backend()).backend;
  return [
    await open({ readOnly: true }),
    await open({ readOnly: true, skipLoad: true, backend: cold() }),
  ];
}

function rangeCases(make: MakeMedium): void {
  test("records come in id order, from runs and log, deleted ones left out", async () => {
    const fixture = await setUp(make);
    const store = await fixture.open({ agentId: "a", checkpointOnClose: false });
    for (const id of ["b", "d", "f"]) await store.set(id, { of: "run" });
    await store.compact();
    await store.set("g", { of: "log" });
    await store.set("a", { of: "log" });
    await store.set("d", { of: "log" });
    await store.delete("f");
    const expected = [
      ["a", { of: "log" }],
      ["b", { of: "run" }],
      ["d", { of: "log" }],
      ["g", { of: "log" }],
    ];
    for (const reader of [store, ...(await readers(fixture))]) {
      expect(await taken(reader.scan())).toEqual(expected);
      expect(await taken(reader.scan({ reverse: true }))).toEqual(expected.toReversed());
    }
  });

  test("prefix, from and to bound the ids in either direction; limit their number", async () => {
    const fixture = await setUp(make);
    const store = await fixture.open({ agentId: "a" });
    const ids = ["a", "b", "b1", "b2", "b3", "c"];
    for (const id of ids.slice(0, 3)) await store.set(id, 1);
    await store.compact();
    for (const id of ids.slice(3)) await store.set(id, 1);
    const cases: [ScanOptions, string[]][] = [
      [{}, ids],
      [{ prefix: "b" }, ["b", "b1", "b2", "b3"]],
      [{ prefix: "b", from: "b1", to: "b3" }, ["b1", "b2"]],
      [{ prefix: "b", from: "a", to: "z" }, ["b", "b1", "b2", "b3"]],
      [{ from: "b1" }, ["b1", "b2", "b3", "c"]],
      [{ to: "b1" }, ["a", "b"]],
      [{ from: "b2", to: "b2" }, []],
      [{ from: "z", to: "a" }, []],
      [{ to: "" }, []],
      [{ prefix: "x" }, []],
      [{ prefix: "", from: "", limit: Infinity }, ids],
    ];
    for (const reader of [store, ...(await readers(fixture))]) {
      for (const [options, expected] of cases) {
        for (const limit of [undefined, 0, 1, 2, 100]) {
          const up = { limit, ...options };
          const count = up.limit ?? ids.length;
          expect(await idsOf(reader, up), JSON.stringify(up)).toEqual(expected.slice(0, count));
          const down = await idsOf(reader, { ...up, reverse: true });
          expect(down).toEqual(expected.toReversed().slice(0, count));
        }
      }
    }
  });

  test("ids that sort strangely come by UTF-16 code unit, and are found by prefix", async () => {
    const fixture = await setUp(make);
    const store = await fixture.open({ agentId: "a" });
    await store.batch(() => ODD_IDS.forEach((id) => void store.set(id, id.length)));
    const sorted = ODD_IDS.toSorted();
    for (const compacted of [false, true]) {
      if (compacted) await store.compact();
      for (const reader of [store, ...(await readers(fixture))]) {
        expect(await idsOf(reader)).toEqual(sorted);
        expect(await idsOf(reader, { reverse: true })).toEqual(sorted.toReversed());
        for (const prefix of [...ODD_IDS, "\ud83d"]) {
          const expected = sorted.filter((id) => id.startsWith(prefix));
          expect(await idsOf(reader, { prefix }), JSON.stringify(prefix)).toEqual(expected);
        }
      }
    }
  });

  test("options that cannot be used are refused at the first next()", async () => {
    const { open } = await setUp(make);
    const store = await open();
    const wrong: object[] = [
      { limit: -1 },
      { limit: 1.5 },
      { limit: "1" },
      { limit: Number.NaN },
      { prefix: 1 },
      { from: null },
      { to: 7 },
      { reverse: "yes" },
      { until: "a" },
    ];
    for (const options of wrong) {
      const scan = store.scan(options);
      await expect(scan.next(), JSON.stringify(options)).rejects.toThrow(InvalidArgumentError);
    }
    const scan = store.scan();
    await store.close();
    await expect(scan.next()).rejects.toThrow(NotOpenError);
  });
}

function viewCases(make: MakeMedium): void {
  test("what the store itself wrote before is seen, what anybody writes later is not", async () => {
    const fixture = await setUp(make);
    const options = { skipLoad: true, blindWrites: true, checkpointOnClose: false };
    const store = await fixture.open({ ...options, agentId: "a" });
    await fill(store, 20);
    await store.compact();
    const lazy = await fixture.open({ ...options, agentId: "b" });
    await lazy.set("r00003", "committed");
    const staged = [
      lazy.set("r00004", "staged"),
      lazy.set("r00004a", "new"),
      lazy.delete("r00005"),
    ];
    const [first, second] = [lazy.scan(), lazy.scan({ reverse: true })];
    const [up, down] = [await first.next(), await second.next()];
    await Promise.all(staged);
    await lazy.set("r00006", "too late");
    await store.set("r00007", "too late");
    await store.set("r00007a", "too late");
    await lazy.refresh();
    const begun = (step: typeof up): [string, unknown][] =>
      step?.done === false ? [step.value] : [];
    const found = [...begun(up), ...(await taken(first))];
    const expected = new Map<string, unknown>(idsBelow(20).map((id) => [id, "x"]));
    expected.set("r00003", "committed").set("r00004", "staged").set("r00004a", "new");
    expected.delete("r00005");
    const sorted = [...expected].toSorted(([a], [b]) => (a < b ? -1 : 1));
    expect(found).toEqual(sorted);
    expect([...begun(down), ...(await taken(second))]).toEqual(sorted.toReversed());
    expect(await idsOf(lazy)).toContain("r00007a");
  });

  test("records come migrated and frozen, and do not become resident", async () => {
    const { open } = await setUp(make);
    const old = await open({ agentId: "a", checkpointOnClose: false });
    await old.set("compacted", { n: 1 });
    await old.compact();
    await old.set("logged", { n: 2 });
    const migrate = (record: unknown, from: number): unknown => ({ record, from });
    const store = await open({ agentId: "b", version: 2, migrate, skipLoad: true });
    const expected = [
      ["compacted", { record: { n: 1 }, from: 1 }],
      ["logged", { record: { n: 2 }, from: 1 }],
    ];
    const found = await taken(store.scan());
    expect(found).toEqual(expected);
    expect(found.every(([, record]) => Object.isFrozen(record))).toBe(true);
    expect(store.entries()).toEqual([]);
    await store.hydrate();
    expect(await taken(store.scan())).toEqual(expected);
    const loose = await open({ agentId: "c", skipLoad: true, freezeRecords: false });
    for (const [, record] of await taken(loose.scan()))
      Object.assign(record ?? {}, { n: "changed" });
    expect(await loose.read("logged")).toEqual({ n: 2 });
  });

  test("a store that holds everything answers without a request", async () => {
    const { open, medium } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const store = await open({ backend: watched.backend, agentId: "a" });
    await fill(store, 50);
    await store.compact();
    watched.calls.length = 0;
    expect(await idsOf(store)).toEqual(idsBelow(50));
    expect(watched.calls).toEqual([]);
  });

  test("closing ends a scan that is under way", async () => {
    const { open } = await setUp(make);
    const store = await open({ agentId: "a" });
    await fill(store, 5);
    const scan = store.scan();
    await scan.next();
    await store.close();
    await expect(scan.next()).rejects.toThrow(NotOpenError);
  });
}

function randomCases(make: MakeMedium): void {
  test("any scan of any store returns what a sorted map does", { timeout: 60_000 }, async () => {
    const seed = runSeed();
    onTestFailed(() => console.log(`SEED=${seed}`));
    const { below, chance } = dice(seed);
    const fixture = await setUp(make);
    const writer = await fixture.open({ agentId: "a", checkpointThreshold: Infinity });
    const expected = new Map<string, unknown>();
    const idAt = (n: number): string => {
      const text = n.toString(3);
      return `${"xy\ud800"[n % 3] ?? ""}${text}${n % 7 === 0 ? "\uffff" : ""}`;
    };
    const bound = (): string | undefined =>
      chance(0.5) ? idAt(below(400)).slice(0, below(6)) : undefined;
    for (let round = 0; round < 6; round++) {
      await writer.batch(() => {
        for (let n = 0; n < 60; n++) {
          const id = idAt(below(400));
          if (chance(0.3) && expected.delete(id)) void writer.delete(id);
          else {
            const value = "v".repeat(below(3) * 2_000 + 1);
            expected.set(id, value);
            void writer.set(id, value);
          }
        }
      });
      if (chance(0.6)) await writer.compact();
      const [eager, lazy] = await readers(fixture);
      for (let scan = 0; scan < 15; scan++) {
        const [prefix, from, to] = [bound(), bound(), bound()];
        const options = {
          prefix,
          from,
          to,
          reverse: chance(0.5),
          limit: chance(0.5) ? below(30) : undefined,
        };
        const within = [...expected]
          .filter(
            ([id]) =>
              id.startsWith(prefix ?? "") && id >= (from ?? "") && !(to !== undefined && id >= to),
          )
          .toSorted(([a], [b]) => (a < b === options.reverse ? 1 : -1))
          .slice(0, options.limit);
        if (chance(0.2)) await lazy.read(idAt(below(400)));
        for (const reader of [eager, lazy, writer]) {
          expect(await taken(reader.scan(options)), JSON.stringify(options)).toEqual(within);
        }
      }
    }
  });
}
