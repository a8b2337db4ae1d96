import { expect, test } from "vitest";
import { BloomBuilder, BloomFilter } from "../../src/format/run-index.ts";

function filterOf(ids: readonly string[]): BloomFilter {
  const builder = new BloomBuilder();
  for (const id of ids) builder.add(id);
  return builder.build();
}

const numbered = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);

test("an id the filter was built from is never denied", () => {
  for (const count of [1, 2, 10, 1_000]) {
    const ids = [...numbered("in-", count), "\ud800", "__proto__"];
    const filter = filterOf(ids);
    expect(ids.every((id) => filter.mayContain(id))).toBe(true);
  }
});

test.each([
  { ids: 10, filters: 200, probes: 250 },
  { ids: 100, filters: 50, probes: 1_000 },
  { ids: 16_384, filters: 1, probes: 60_000 },
])("at $ids ids at most 1 % of other ids are admitted", ({ ids, filters, probes }) => {
  let admitted = 0;
  for (let n = 0; n < filters; n++) {
    const filter = filterOf(numbered(`in-${n}-`, ids));
    admitted += numbered(`out-${n}-`, probes).filter((id) => filter.mayContain(id)).length;
  }
  const rate = admitted / (filters * probes);
  expect(rate).toBeLessThanOrEqual(0.01);
  expect(rate).toBeGreaterThan(0.001);
});

test("a filter takes 10 bits an id, and at least 64", () => {
  expect(filterOf(numbered("a", 1_000)).bytes.length).toBe(1_250);
  expect(filterOf(["a"]).bytes.length).toBe(8);
});

test("the bits of an id are part of the format", () => {
  const filter = filterOf(["a", "é", "\ud800"]);
  expect([filter.k, Buffer.from(filter.bytes).toString("hex")]).toEqual([7, "8e1cf02004803010"]);
});

test("a filter that was stored answers as the one it was made from", () => {
  const filter = filterOf(numbered("in-", 50));
  const stored = Buffer.from(Buffer.from(filter.bytes).toString("base64"), "base64");
  const read = new BloomFilter(stored, filter.k);
  const probes = [...numbered("in-", 50), ...numbered("out-", 500)];
  expect(probes.map((id) => read.mayContain(id))).toEqual(
    probes.map((id) => filter.mayContain(id)),
  );
});
