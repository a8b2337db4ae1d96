/** What scans of 60,000 records cost in HTTP requests, counted between the store and a real server. */
import { describe, expect, test } from "vitest";
import type { ScanOptions } from "../../src/store/scan-range.ts";
import type { Store } from "../../src/store/store.ts";
import { countedStores } from "./counted.ts";
import { fillLarge, idOf, RECORDS, task } from "./tasks.ts";
import type { Task } from "./tasks.ts";

const { openCounted, cost } = countedStores((live) => fillLarge(live, "large"));

/** An index part and a block. */
const ONE_BLOCK_KIB = 125;

async function expectScan(store: Store<Task>, options: ScanOptions, ns: number[]): Promise<void> {
  const found: [string, Task][] = [];
  for await (const record of store.scan(options)) found.push(record);
  expect(found).toEqual(ns.map((n) => [idOf(n), task(n)]));
}

const thousand = Array.from({ length: 1_000 }, (_, n) => 40_000 + n);

describe.each([false, true])("scanning 60,000 records (reverse: %s)", (reverse) => {
  const inOrder = (ns: number[]): number[] => (reverse ? ns.toReversed() : ns);
  const open = (): Promise<Store<Task>> => openCounted("large", { skipLoad: true });

  test("1,000 by prefix: five requests, little more than the records", async () => {
    const store = await open();
    const { requests, trips, kibDown } = await cost("scan of 1,000 by prefix", () =>
      expectScan(store, { prefix: "task-040", reverse }, inOrder(thousand)),
    );
    expect(requests.length).toBeLessThanOrEqual(6);
    expect(trips).toBeLessThanOrEqual(6);
    expect(kibDown).toBeLessThanOrEqual(1_000 + 2 * ONE_BLOCK_KIB);
  });

  test("1,000 by limit: the records in one read", async () => {
    const store = await open();
    const range = reverse ? { to: idOf(41_000) } : { from: idOf(40_000) };
    const { requests, trips, kibDown } = await cost("scan of 1,000 by limit", () =>
      expectScan(store, { ...range, reverse, limit: 1_000 }, inOrder(thousand)),
    );
    expect(requests.length).toBeLessThanOrEqual(3);
    expect(trips).toBeLessThanOrEqual(3);
    expect(kibDown).toBeLessThanOrEqual(1_000 + ONE_BLOCK_KIB);
  });

  test("10: an index part and one block or two", async () => {
    const store = await open();
    const ns = Array.from({ length: 10 }, (_, n) => (reverse ? RECORDS - 10 + n : n));
    const { requests, trips, kibDown } = await cost("scan of 10", () =>
      expectScan(store, { reverse, limit: 10 }, inOrder(ns)),
    );
    expect(requests).toEqual(["GET 206", "GET 206"]);
    expect(trips).toBe(2);
    expect(kibDown).toBeLessThanOrEqual(ONE_BLOCK_KIB);
  });

  test("left after 3 records: two blocks, nothing ahead", async () => {
    const store = await open();
    const { requests, kibDown } = await cost("scan left after 3", async () => {
      let count = 0;
      for await (const [id] of store.scan({ reverse })) {
        expect(id).toBe(idOf(reverse ? RECORDS - 1 - count : count));
        if (++count === 3) break;
      }
    });
    expect(requests).toEqual(["GET 206", "GET 206"]);
    expect(kibDown).toBeLessThanOrEqual(ONE_BLOCK_KIB + 32);
  });

  test("a limit of 0, an empty range, and ids beyond all others cost nothing", async () => {
    const store = await open();
    const { requests } = await cost("empty scans", async () => {
      await expectScan(store, { limit: 0, reverse }, []);
      await expectScan(store, { from: "b", to: "a", reverse }, []);
      await expectScan(store, { prefix: "zzz", reverse }, []);
    });
    expect(requests).toEqual([]);
  });
});

test("a scan of everything reads the run once, and its index", async () => {
  const store = await openCounted("large", { skipLoad: true });
  const { requests, kibDown } = await cost("scan of everything", async () => {
    let count = 0;
    for await (const [id] of store.scan()) expect(id).toBe(idOf(count++));
    expect(count).toBe(RECORDS);
  });
  expect(requests.length).toBeLessThanOrEqual(140);
  expect(kibDown).toBeLessThan((RECORDS * 1_100) / 1_024);
});
