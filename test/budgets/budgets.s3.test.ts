/**
 * What each call costs in HTTP requests, counted between the store and a real server. The budgets
 * are promises to users: raising one is a decision, not a repair.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { compact } from "../../src/compaction/compact.ts";
import { Store } from "../../src/store/store.ts";
import type { Cost } from "./cost.ts";
import { countedStores } from "./counted.ts";
import { fillLarge, fillSmall, idOf, leaveSegments, RECORDS, task } from "./tasks.ts";
import type { Task } from "./tasks.ts";

const stores = countedStores((live) => fillLarge(live, "large"));
const { openCounted, cost } = stores;

describe("opening", () => {
  test("a lazy store takes one GET beside one LIST", async () => {
    const open = (): Promise<unknown> => openCounted("large", { skipLoad: true });
    const { requests, trips } = await cost("lazy open of 60,000 records", open);
    expect(requests.toSorted()).toEqual(["GET 200", "LIST 200"]);
    expect(trips).toBe(1);
  });

  test("over a backend that was used before, the manifest costs no body", async () => {
    const backend = stores.backend();
    await openCounted("large", { skipLoad: true, backend });
    const open = (): Promise<unknown> => openCounted("large", { skipLoad: true, backend });
    const { requests, trips } = await cost("lazy open, warm", open);
    expect(requests.toSorted()).toEqual(["GET 304", "LIST 200"]);
    expect(trips).toBe(1);
  });

  test.each([{ maxStaleMs: 600_000 }, "snapshot"] as const)(
    "over a backend that was used before, freshness %o asks for nothing",
    async (freshness) => {
      const backend = stores.backend();
      await openCounted("large", { skipLoad: true, backend });
      const open = (): Promise<unknown> =>
        openCounted("large", { skipLoad: true, backend, freshness });
      const { requests, trips } = await cost(`lazy open, ${JSON.stringify(freshness)}, warm`, open);
      expect([requests, trips]).toEqual([[], 0]);
    },
  );

  test("freshness snapshot requests the manifest only", async () => {
    const open = (): Promise<unknown> =>
      openCounted("large", { skipLoad: true, freshness: "snapshot" });
    const { requests } = await cost("lazy open, snapshot, cold", open);
    expect(requests).toEqual(["GET 200"]);
  });

  test("where merged segments are deleted at once, the manifest is looked at twice", async () => {
    await fillSmall(stores.live, "no-grace", { segmentGraceMs: 0 });
    const open = (): Promise<unknown> => openCounted("no-grace", { skipLoad: true });
    const { requests, trips } = await cost("lazy open without a segment grace", open);
    expect(requests.slice(0, 2).toSorted()).toEqual(["GET 200", "LIST 200"]);
    expect(requests.slice(2)).toEqual(["GET 304"]);
    expect(trips).toBe(2);
  });

  test("a log of 2,500 segments takes 3 LISTs, two of them at once", async () => {
    await fillSmall(stores.live, "busy");
    const backend = stores.live.backend();
    await leaveSegments(backend, stores.live.location("busy"), 2_500);
    const open = (): Promise<unknown> =>
      openCounted("busy", { skipLoad: true, onBacklog: () => {} });
    const { requests, trips } = await cost("lazy open before 2,500 segments", open);
    expect(requests.toSorted()).toEqual(["GET 200", "LIST 200", "LIST 200", "LIST 200"]);
    expect(trips).toBe(2);
  });

  test("a store that does not exist yet is looked at twice", async () => {
    const open = (): Promise<unknown> => openCounted("new", { skipLoad: true });
    const { requests, trips } = await cost("lazy open of a new store", open);
    expect(requests.toSorted()).toEqual(["GET 404", "GET 404", "LIST 200"]);
    expect(trips).toBe(2);
  });

  test("closing a store that has nothing to write costs nothing", async () => {
    const store = await openCounted("large", { skipLoad: true });
    expect(await cost("close", () => store.close())).toMatchObject({ requests: [] });
  });
});

describe("writing", () => {
  let store: Store<Task>;
  beforeAll(async () => {
    await fillSmall(stores.live, "small");
    store = await openCounted("small");
  });

  test("set of a resident record is one PUT", async () => {
    const { requests } = await cost("set, resident", () => store.set("old-1", task(1)));
    expect(requests).toEqual(["PUT 200"]);
  });

  test("set of a new record is one PUT", async () => {
    const { requests } = await cost("set, new", () => store.set("new-1", task(1)));
    expect(requests).toEqual(["PUT 200"]);
  });

  test("20 concurrent sets are one PUT or two", async () => {
    const ids = Array.from({ length: 20 }, (_, n) => `concurrent-${n}`);
    const { requests } = await cost("20 concurrent sets", () =>
      Promise.all(ids.map((id, n) => store.set(id, task(n)))),
    );
    expect(["PUT 200", "PUT 200, PUT 200"]).toContain(requests.join(", "));
  });

  test("20 concurrent sets that are called one tick apart are two PUTs at most", async () => {
    const { requests } = await cost("20 concurrent sets from 20 callers", () =>
      Promise.all(
        Array.from({ length: 20 }, async (_, n) => {
          for (let tick = 0; tick < n; tick++) await Promise.resolve();
          await store.set(`caller-${n}`, task(n));
        }),
      ),
    );
    expect(["PUT 200", "PUT 200, PUT 200"]).toContain(requests.join(", "));
  });

  test("delete of a resident record is one PUT", async () => {
    const { requests } = await cost("delete, resident", () => store.delete("old-2"));
    expect(requests).toEqual(["PUT 200"]);
  });

  test("a batch of 100 is one PUT", async () => {
    const { requests } = await cost("batch of 100", () =>
      store.batch(() => {
        for (let n = 0; n < 100; n++) void store.set(`batch-${n}`, task(n));
      }),
    );
    expect(requests).toEqual(["PUT 200"]);
  });

  test("update of a resident record that is not atomic is one PUT", async () => {
    const { requests } = await cost("update, resident", () =>
      store.update("old-3", () => task(0), { atomic: false }),
    );
    expect(requests).toEqual(["PUT 200"]);
  });

  test("an empty batch is nothing", async () => {
    expect(await cost("empty batch", () => store.batch(() => {}))).toMatchObject({ requests: [] });
  });
});

describe("writing to a lazy store of 60,000 records", () => {
  test("set of a record that is not resident looks it up, then is one PUT", async () => {
    const store = await openCounted("large", { skipLoad: true });
    const { requests, trips } = await cost("lazy set, not resident", () =>
      store.set(idOf(123), task(123)),
    );
    expect(requests.filter((request) => request.startsWith("PUT"))).toEqual(["PUT 200"]);
    expect(trips).toBeLessThanOrEqual(3);
  });

  test("set of a new record is one PUT once the index is in memory", async () => {
    const store = await openCounted("large", { skipLoad: true });
    await store.read(idOf(125));
    const { requests } = await cost("lazy set, new, warm", () => store.set("task-new", task(0)));
    expect(requests).toEqual(["PUT 200"]);
  });

  test("under blindWrites it is one PUT alone", async () => {
    const store = await openCounted("large", { skipLoad: true, blindWrites: true });
    const { requests } = await cost("lazy set, blind", () => store.set(idOf(124), task(124)));
    expect(requests).toEqual(["PUT 200"]);
  });
});

/** Of a cold read: 128,000 bytes. */
const COLD_KIB = 125;

describe("reading one of 60,000 records", () => {
  test("takes two more round trips and 128 KB, the next record one round trip", async () => {
    const store = await openCounted("large", { skipLoad: true });
    const first = await cost("first lazy read", async () => {
      expect(await store.read(idOf(40_000))).toEqual(task(40_000));
    });
    expect(first.trips).toBeLessThanOrEqual(2);
    expect(first.requests).toEqual(["GET 206", "GET 206"]);
    expect(first.kibDown).toBeLessThanOrEqual(COLD_KIB);
    const second = await cost("second lazy read, another record", async () => {
      expect(await store.read(idOf(41_000))).toEqual(task(41_000));
    });
    expect(second.trips).toBe(1);
    expect(second.requests).toEqual(["GET 206"]);
    expect(second.kibDown).toBeLessThanOrEqual(62);
    const again = await cost("the same record again", () => store.read(idOf(41_000)));
    expect(again.requests).toEqual([]);
  });

  test("a read from any part of the store stays below that, each index part is read once", async () => {
    const store = await openCounted("large", { skipLoad: true });
    const parts = [0, 20_000, 35_000, RECORDS - 200];
    const read = (n: number): Promise<Cost> =>
      cost(`lazy read of record ${n}`, async () => {
        expect(await store.read(idOf(n))).toEqual(task(n));
      });
    for (const n of parts) {
      const { trips, requests, kibDown } = await read(n);
      expect(Math.max(trips, requests.length)).toBeLessThanOrEqual(2);
      expect(kibDown).toBeLessThanOrEqual(COLD_KIB);
    }
    for (const n of parts) {
      const { requests, kibDown } = await read(n + 100);
      expect(requests).toEqual(["GET 206"]);
      expect(kibDown).toBeLessThanOrEqual(62);
    }
  });

  test("a record that is not there costs no more than one that is", async () => {
    const store = await openCounted("large", { skipLoad: true });
    const absent = await cost("lazy read of an absent id", async () => {
      expect(await store.read(`${idOf(40_000)}-absent`)).toBeUndefined();
    });
    expect(absent.trips).toBeLessThanOrEqual(2);
    expect(absent.kibDown).toBeLessThanOrEqual(COLD_KIB);
    const another = await cost("another absent id", async () => {
      expect(await store.read(`${idOf(40_500)}-absent`)).toBeUndefined();
    });
    expect(another.requests).toEqual([]);
    const outside = await cost("lazy read of an id beyond all others", async () => {
      expect(await store.read("zzz")).toBeUndefined();
    });
    expect(outside.requests).toEqual([]);
  });

  test("100 neighbours at once take two round trips and two requests", async () => {
    const store = await openCounted("large", { skipLoad: true });
    const ids = Array.from({ length: 100 }, (_, n) => idOf(40_000 + n));
    const { trips, kibDown, requests } = await cost("readMany of 100 neighbours", async () => {
      expect((await store.readMany(ids)).size).toBe(100);
    });
    expect(trips).toBeLessThanOrEqual(2);
    expect(requests.length).toBeLessThanOrEqual(2);
    expect(kibDown).toBeLessThanOrEqual(256);
  });

  test("100 records from everywhere share the index, and take one request a block", async () => {
    const store = await openCounted("large", { skipLoad: true });
    const ids = Array.from({ length: 100 }, (_, n) => idOf(n * 600));
    const { trips, kibDown, requests } = await cost("readMany of 100 scattered", async () => {
      expect((await store.readMany(ids)).size).toBe(100);
    });
    // The index in four parts, then the blocks 16 at a time; some answers come later than others.
    expect(requests.length).toBeLessThanOrEqual(104);
    expect(trips).toBeLessThanOrEqual(2 * (1 + Math.ceil(100 / 16)));
    expect(kibDown).toBeLessThanOrEqual(100 * 32 + 4 * 92);
  });
});

describe("maintenance", () => {
  test("a compaction pass with nothing to do is two requests", async () => {
    await fillSmall(stores.live, "idle");
    const { requests, trips } = await cost("idle compaction pass", async () => {
      const report = await compact(stores.live.location("idle"), { backend: stores.backend() });
      expect(report.outcome).toBe("idle");
    });
    expect(requests.toSorted()).toEqual(["GET 200", "LIST 200"]);
    expect(trips).toBe(1);
  });

  test("refresh with nothing new is a conditional GET beside a LIST", async () => {
    const store = await openCounted("large", { skipLoad: true });
    const { requests, trips } = await cost("refresh, nothing new", () => store.refresh());
    expect(requests.toSorted()).toEqual(["GET 304", "LIST 200"]);
    expect(trips).toBe(1);
  });

  test("refresh after one write of another's is one GET more", async () => {
    await fillSmall(stores.live, "followed");
    const store = await openCounted("followed");
    const other = await Store.open<Task>(stores.live.location("followed"), {
      backend: stores.live.backend(),
      agentId: "other",
      checkpointOnClose: false,
    });
    await other.set("new", task(1));
    await other.close();
    const { requests, trips } = await cost("refresh, one foreign write", () => store.refresh());
    expect(requests.toSorted()).toEqual(["GET 200", "GET 304", "LIST 200"]);
    expect(trips).toBe(2);
    expect(store.get("new")).toEqual(task(1));
  });
});
