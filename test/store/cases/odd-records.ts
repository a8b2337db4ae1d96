/** Ids and values at the edges of what JSON and strings can be. */
import { expect, test } from "vitest";
import { repeat } from "../../support/effort.ts";
import { type Fixture, type MakeMedium, setUp } from "../fixture.ts";

const ODD_IDS = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "\ud800",
  "\udc00 lone",
  "\u{1f600}",
  "line\nfeed\r\u2028\u2029",
  '{"format":1}',
  '","data":{}}',
  "../../etc/passwd",
  "a/b\\c",
  " ",
  "\u0000",
  "\u007f",
  "é",
  "e\u0301",
  "x".repeat(10_240),
  "\ud800".repeat(5_000),
];

const ODD_VALUES: readonly unknown[] = [
  "text",
  "",
  "\ud800 lone \n \u2028 \u0000",
  0,
  -1.5e-300,
  1e21,
  Number.MAX_SAFE_INTEGER,
  true,
  false,
  null,
  [],
  [1, [2, [3]], null],
  {},
  { "": { "": "" } },
  JSON.parse('{"__proto__":{"x":1},"constructor":2,"2":"b","1":"a"}'),
  { data: { deleted: true }, "},{": '"}\n' },
];

/** Everything is as expected for all kinds of readers. */
async function expectAll(fixture: Fixture, expected: ReadonlyMap<string, unknown>): Promise<void> {
  const sorted = (entries: Iterable<[string, unknown]>): string =>
    JSON.stringify([...entries].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  expect(sorted(await fixture.entries())).toBe(sorted(expected));
  expect(sorted(await fixture.lookUp(expected.keys()))).toBe(sorted(expected));
}

export function oddRecordCases(make: MakeMedium): void {
  test("every id is kept apart, in the log, in a run and after deletion", async () => {
    const fixture = await setUp(make);
    const store = await fixture.open<number>();
    const expected = new Map(ODD_IDS.map((id, n) => [id, n]));
    await store.batch(() => expected.forEach((n, id) => void store.set(id, n)));
    for (const [id, n] of expected) expect([store.get(id), store.has(id)]).toEqual([n, true]);
    await expectAll(fixture, expected);
    await store.compact();
    await expectAll(fixture, expected);
    for (const id of ODD_IDS.filter((_, n) => n % 2 === 0)) {
      await store.delete(id);
      expected.delete(id);
    }
    await expectAll(fixture, expected);
    await store.compact();
    await expectAll(fixture, expected);
  });

  test("every JSON value is a record, updates of it included", async () => {
    const fixture = await setUp(make);
    const store = await fixture.open();
    const expected = new Map(ODD_VALUES.map((value, n) => [`v${n}`, value]));
    await store.batch(() => expected.forEach((value, id) => void store.set(id, value)));
    for (const [id, value] of expected) {
      expect(JSON.stringify(store.get(id))).toBe(JSON.stringify(value));
      expect([store.has(id), await store.read(id)]).toEqual([true, store.get(id)]);
    }
    await expectAll(fixture, expected);
    await store.compact();
    await expectAll(fixture, expected);
    const values = [...expected.values()];
    await store.batch(() => {
      [...expected.keys()].forEach((id, n) => {
        const value = values[(n + 1) % values.length];
        expected.set(id, value);
        void store.set(id, value);
      });
    });
    await expectAll(fixture, expected);
    await store.compact();
    await expectAll(fixture, expected);
  });

  test("what JSON changes is changed at once, not at the next open", async () => {
    const { open, entries } = await setUp(make);
    const store = await open();
    await store.set("a", { at: new Date(0), gap: undefined, list: [undefined] });
    const stored = { at: "1970-01-01T00:00:00.000Z", list: [null] };
    expect(store.get("a")).toStrictEqual(stored);
    expect(await entries()).toStrictEqual([["a", stored]]);
  });

  test("what JSON would lose is refused before anything changes, by every write", async () => {
    const { open, entries } = await setUp(make);
    const store = await open();
    await store.set("a", { n: 1 });
    const refused = {
      code: "INVALID_ARGUMENT",
      id: "a",
      message: "Record 'a' cannot be stored as JSON: found a Map at tags[0]",
    };
    const lossy = { tags: [new Map()] };
    const writes = [
      async () => store.set("a", lossy),
      async () => store.update("a", () => lossy),
      async () =>
        store.batch(() => {
          void store.set("b", { n: 2 });
          void store.set("a", lossy);
        }),
    ];
    for (const write of writes) await expect(write()).rejects.toMatchObject(refused);
    expect(store.getOps()).toHaveLength(1);
    expect(await entries()).toEqual([["a", { n: 1 }]]);
  });

  const megabytes = repeat({ quick: 12, full: 50 });
  test(
    `a record of ${megabytes} MB is written, compacted and read`,
    { timeout: 60_000 },
    async () => {
      const { open, lookUp } = await setUp(make);
      const store = await open();
      const big = { text: "é\n".repeat(megabytes * 250_000) };
      await store.set("big", big);
      await store.set("small", 1);
      expect((await lookUp(["big"])).get("big")).toEqual(big);
      await store.compact();
      expect(await lookUp(["big", "small"])).toEqual(
        new Map<string, unknown>([
          ["big", big],
          ["small", 1],
        ]),
      );
      await store.update("big", () => ({ text: "now small" }));
      expect((await lookUp(["big"])).get("big")).toEqual({ text: "now small" });
    },
  );

  test("a run of one record, of one byte under an id of one byte", async () => {
    const { open, entries, lookUp } = await setUp(make);
    const store = await open({ agentId: "a" });
    await store.set("a", 1);
    await store.compact();
    expect(await entries()).toEqual([["a", 1]]);
    expect(await lookUp(["a", "b", "\u0000"])).toEqual(new Map([["a", 1]]));
    const lazy = await open({ readOnly: true, skipLoad: true });
    expect(await lazy.scan({ reverse: true }).next()).toEqual({ done: false, value: ["a", 1] });
  });
}
