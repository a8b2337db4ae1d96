/** onBacklog: asks for a compaction when a view shows too long a log; never compacts by itself. */
import { expect, test } from "vitest";
import { Deferred } from "../../../src/core/deferred.ts";
import { compact } from "../../../src/compaction/compact.ts";
import type { Backlog } from "../../../src/session/backlog-alarm.ts";
import { type Fixture, type MakeMedium, setUp } from "../fixture.ts";

const LIMIT = 5;

/** So many segments, each a flush of its own. */
async function write({ open }: Fixture, flushes: number): Promise<void> {
  const writer = await open<number>({ agentId: "w", skipLoad: true, blindWrites: true });
  for (let n = 0; n < flushes; n++) await writer.set(`r${n}`, n);
  await writer.close();
}

export function backlogCases(make: MakeMedium): void {
  test.each([true, false])("is reported once per view, skipLoad %s", async (skipLoad) => {
    const fixture = await setUp(make);
    const { medium, open, flushes, warnings } = fixture;
    await write(fixture, LIMIT);
    const told: Backlog[] = [];
    const onBacklog = (backlog: Backlog): void => void told.push(backlog);
    const store = await open({ readOnly: true, skipLoad, backlogSegments: LIMIT, onBacklog });
    expect(told).toEqual([]);
    await write(fixture, 1);
    await store.refresh();
    const backlog = { segments: LIMIT + 1, location: medium.location };
    expect(told).toEqual([backlog]);
    await store.readMany(["r1", "r2"]);
    expect(told).toHaveLength(1);
    await store.refresh();
    expect(told).toEqual([backlog, backlog]);
    await open({ readOnly: true, skipLoad: true, backlogSegments: LIMIT, onBacklog });
    expect(told).toHaveLength(3);
    expect(await flushes(), "nobody has compacted").toBe(LIMIT + 1);
    await compact(medium.location, { backend: medium.backend() });
    await store.refresh();
    expect([told.length, warnings]).toEqual([3, []]);
  });

  test("is a warning by default, once per store", async () => {
    const fixture = await setUp(make);
    await write(fixture, LIMIT + 1);
    const { medium, open, warnings } = fixture;
    const store = await open({ readOnly: true, backlogSegments: LIMIT });
    await store.refresh();
    expect(warnings).toEqual([
      expect.stringContaining(`backlog: 6 segments of ${medium.location} wait for a compaction`),
    ]);
    await open({ readOnly: true });
    expect(warnings).toHaveLength(1);
  });

  test("is answered before close resolves, and its failure is a warning", async () => {
    const fixture = await setUp(make);
    await write(fixture, LIMIT + 1);
    const asked = new Deferred();
    const options = { readOnly: true, skipLoad: true, backlogSegments: LIMIT };
    const store = await fixture.open({ ...options, onBacklog: () => asked.promise });
    let isClosed = false;
    const closing = store.close().then(() => (isClosed = true));
    await fixture.entries();
    expect(isClosed).toBe(false);
    asked.reject(new Error("no compactor"));
    await closing;
    expect(fixture.warnings).toContain("onBacklog failed: Error: no compactor");
  });
}
