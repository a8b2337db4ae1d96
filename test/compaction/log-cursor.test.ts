import { expect, test } from "vitest";
import { LogCursor } from "../../src/compaction/log-cursor.ts";
import type { LogUnit, OfferedLog } from "../../src/log/log.ts";

function segment(lo: number): LogUnit {
  const path = `ops/${lo}`;
  const ref = { key: path, path, range: undefined, lo, hi: lo, filter: "any", bytes: 1 } as const;
  return { paths: [path], segments: [ref], corrupt: false };
}

test("log is clear of a clock once it is listed to its end and nothing from below it is left", async () => {
  const offered = [[segment(20), segment(30)], [segment(10)], [segment(40), segment(12)]];
  const cursor = new LogCursor({
    async *offer(): AsyncGenerator<OfferedLog, void> {
      for (const units of offered) yield { units, leftOut: false, corrupt: [], dateMs: 7 };
    },
  });
  await cursor.open();
  expect(cursor.isClearOf(5), "more may follow").toBe(false);
  expect(cursor.isClearOf(15)).toBe(false);
  const first = await cursor.next();
  expect(first).toHaveLength(2);
  expect(cursor.isClearOf(15), "all that is known is taken, and more follows").toBe(false);
  await cursor.next();
  const [late, low] = await cursor.next();
  cursor.putBack([late, low].filter((unit) => unit !== undefined));
  expect(cursor.isClearOf(5)).toBe(false);
  expect(await cursor.next()).toHaveLength(2);
  expect(await cursor.next(), "the end").toEqual([]);
  cursor.putBack([segment(40), segment(12)]);
  expect(cursor.isClearOf(11)).toBe(true);
  expect(cursor.isClearOf(12)).toBe(false);
  cursor.leaveOut(({ lo }) => lo === 12);
  expect(cursor.isClearOf(39)).toBe(true);
  expect(cursor.isClearOf(40)).toBe(false);
  await cursor.close();
});
