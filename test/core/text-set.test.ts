import { expect, test } from "vitest";
import { NameList } from "../../src/core/name-list.ts";
import { TextSet } from "../../src/core/text-set.ts";

test("a set of texts holds what was added, however many, and nothing else", () => {
  const set = new TextSet();
  expect(set.has("")).toBe(false);
  for (let n = 0; n < 5_000; n++) set.add(`ops/${n % 4_000}`);
  expect(set.size).toBe(4_000);
  for (let n = 0; n < 8_000; n++) expect(set.has(`ops/${n}`)).toBe(n < 4_000);
});

test("a list gives the names that it was made of, in their order, in a part of their bytes", () => {
  const names = Array.from(
    { length: 2_000 },
    (_, n) => `ops/9/agent-1-1766400000000-9f86/${n}.jsonl`,
  );
  const list = new NameList(names);
  expect([list.size, list.names()]).toEqual([2_000, names]);
  expect(list.bytes).toBeLessThan(names.join().length / 5);
  expect(new NameList([]).names()).toEqual([]);
  expect(new NameList(["ä"]).names()).toEqual(["ä"]);
});
