/** What readers make of claims, whoever wrote and merged them (PROTOCOL, "Guarded writes", R1 to R5). */
import { describe, expect, test } from "vitest";
import { CorruptionError, FormatVersionError } from "../../src/core/errors.ts";
import { laneOf } from "../../src/core/lane.ts";
import type { Operation } from "../../src/core/operation.ts";
import { resolveSettings } from "../../src/core/settings.ts";
import { nextRevision } from "../../src/core/version.ts";
import { createEngine } from "../../src/engine/engine.ts";
import { claimPath } from "../../src/format/paths.ts";
import type { StorageBackend } from "../../src/storage/backend.ts";
import type { Store } from "../../src/store/store.ts";
import { verify } from "../../src/store/verify.ts";
import { absentAt, dataClaim, guarded, idOf } from "../support/claims.ts";
import { LaneClient } from "../support/lane-client.ts";
import { type Fixture, type MakeMedium, setUp } from "./fixture.ts";
import { directoryMedium, memoryMedium } from "./media.ts";
import { watchBackend } from "./watched-backend.ts";

const [A, B, C] = [idOf(0x3f), idOf(0x3f, 1), idOf(0xc0)];

interface Scene extends Fixture {
  readonly lanes: LaneClient;
  readonly backend: StorageBackend;
  remove(paths: readonly string[]): Promise<void>;
}

async function scene(make: MakeMedium): Promise<Scene> {
  const fixture = await setUp(make);
  const { medium } = fixture;
  const store = await fixture.open({ agentId: "first" });
  await store.set(A, { n: 1 });
  const backend = medium.backend();
  await backend.initialize(medium.location, { readOnly: false });
  const engine = createEngine({
    backend,
    location: medium.location,
    runtime: medium.runtime,
    settings: resolveSettings({}),
    onWarning: (message) => expect.unreachable(message),
  });
  const lanes = new LaneClient(engine);
  await lanes.giveBirth();
  return { ...fixture, lanes, backend, remove: (paths) => backend.delete(paths) };
}

/** Readers of every kind, over what is there now. */
async function readers(fixture: Fixture): Promise<Record<string, Record<string, unknown>>> {
  const eager = await fixture.open({ readOnly: true });
  const lazy = await fixture.open({ readOnly: true, skipLoad: true });
  const scanned: [string, unknown][] = [];
  const scanning = await fixture.open({ readOnly: true, skipLoad: true });
  for await (const entry of scanning.scan()) scanned.push(entry);
  const streamed = new Map<string, unknown>();
  const streaming = await fixture.open({ readOnly: true, skipLoad: true });
  for await (const [id, value] of streaming.streamSnapshot()) streamed.set(id, value);
  for await (const operation of streaming.getWalOps()) apply(streamed, operation);
  return {
    eager: sorted(eager.entries()),
    lazy: sorted(await lazy.readMany([A, B, C])),
    scan: sorted(scanned),
    stream: sorted(streamed),
  };
}

function apply(copy: Map<string, unknown>, { op, id, data }: Operation<unknown>): void {
  if (op === "set") copy.set(id, data);
  else copy.delete(id);
}

function sorted(entries: Iterable<[string, unknown]>): Record<string, unknown> {
  return Object.fromEntries([...entries].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function all(expected: Record<string, unknown>): Record<string, unknown> {
  const one = sorted(Object.entries(expected));
  return { eager: one, lazy: one, scan: one, stream: one };
}

describe.each([memoryMedium, directoryMedium])("%o", (make) => {
  test("data is in force by being there, for readers of every kind", async () => {
    const fixture = await scene(make);
    const { lanes } = fixture;
    await lanes.write({ [A]: { n: 2 } });
    await lanes.write({ [A]: { n: 3 }, [B]: { n: 1 } });
    await lanes.write({ [C]: { n: 1 } });
    expect(await readers(fixture)).toEqual(all({ [A]: { n: 3 }, [B]: { n: 1 }, [C]: { n: 1 } }));
    await lanes.write({ [A]: undefined });
    expect(await readers(fixture)).toEqual(all({ [B]: { n: 1 }, [C]: { n: 1 } }));
    const report = await verify(fixture.medium.location, { backend: fixture.medium.backend() });
    expect(report).toMatchObject({ problems: [], segments: 5, operations: 6 });
    expect(fixture.warnings).toEqual([]);
  });

  test("a plain write that was made since wins, one that was made before does not", async () => {
    const fixture = await scene(make);
    const { lanes } = fixture;
    const store = await fixture.open({ agentId: "plain" });
    await store.set(B, { n: 1 });
    await lanes.write({ [B]: { n: 2 } });
    expect((await readers(fixture))["lazy"]).toEqual({ [A]: { n: 1 }, [B]: { n: 2 } });
    await store.refresh();
    expect(store.get(B)).toEqual({ n: 2 });
    await store.set(B, { n: 3 });
    expect(await readers(fixture)).toEqual(all({ [A]: { n: 1 }, [B]: { n: 3 } }));
    await store.undo();
    expect(await readers(fixture)).toEqual(all({ [A]: { n: 1 }, [B]: { n: 2 } }));
  });

  test("what is merged is left out by its name, also while it is there", async () => {
    const fixture = await scene(make);
    const { lanes } = fixture;
    await lanes.write({ [A]: { n: 2 } });
    await lanes.write({ [A]: { n: 3 } });
    const merged = await lanes.merge();
    await lanes.write({ [A]: { n: 4 } });
    const { backend, calls } = watchBackend(fixture.medium.backend());
    const store = await fixture.open({ backend, readOnly: true });
    expect(store.get(A)).toEqual({ n: 4 });
    const read = calls.filter((call) => call.startsWith("get ops/") && call.includes("lane"));
    expect(read).toEqual([`get ${claimPath({ lane: 0x3f, n: 3 })}`]);
    await fixture.remove(merged);
    expect(await readers(fixture)).toEqual(all({ [A]: { n: 4 } }));
  });

  test("a stray at a used number counts for nobody", async () => {
    const fixture = await scene(make);
    const { lanes } = fixture;
    await lanes.write({ [A]: { n: 2 } });
    await fixture.remove(await lanes.merge());
    await lanes.put(dataClaim({ lane: 0x3f, n: 1 }, [guarded(A, absentAt(2 ** 51), { n: 9 })]));
    expect(await readers(fixture)).toEqual(all({ [A]: { n: 2 } }));
    await lanes.write({ [B]: { n: 1 } });
    expect(await readers(fixture)).toEqual(all({ [A]: { n: 2 }, [B]: { n: 1 } }));
  });

  test("a transaction is seen whole once it is decided, and not at all before", async () => {
    const fixture = await scene(make);
    const { lanes } = fixture;
    const eager = await fixture.open({ agentId: "eager" });
    const lazy = await fixture.open({ agentId: "lazy", skipLoad: true });
    const late = await fixture.open({ agentId: "late", skipLoad: true });
    await lazy.readMany([A, C]);
    const begun = await lanes.begin({ [A]: { n: 2 }, [C]: { n: 2 } });
    for (const store of [eager, lazy, late]) {
      await store.refresh();
      expect(await store.tail()).toEqual([]);
    }
    expect(sorted(await lazy.readMany([A, C]))).toEqual({ [A]: { n: 1 } });
    expect(sorted(await late.readMany([A]))).toEqual({ [A]: { n: 1 } });
    await begun.commit();
    expect(sorted(await late.readMany([A, C]))).toEqual({ [A]: { n: 1 } });
    for (const store of [eager, lazy, late]) {
      const told = (await store.tail()).map(({ id, data }): [string, unknown] => [id, data]);
      expect(told).toHaveLength(2);
      expect(sorted(told)).toEqual({ [A]: { n: 2 }, [C]: { n: 2 } });
      expect(sorted(await store.readMany([A, C]))).toEqual({ [A]: { n: 2 }, [C]: { n: 2 } });
      expect(await store.tail()).toEqual([]);
    }
    expect(eager.getHistory(C)).toHaveLength(1);
    expect(await readers(fixture)).toEqual(all({ [A]: { n: 2 }, [C]: { n: 2 } }));
  });

  test("one that is aborted is never seen, nor one of which a place is passed", async () => {
    const fixture = await scene(make);
    const { lanes } = fixture;
    const first = await lanes.begin({ [A]: { n: 2 }, [C]: { n: 2 } });
    await first.abort();
    expect(await readers(fixture)).toEqual(all({ [A]: { n: 1 } }));
    await lanes.write({ [B]: { n: 1 } });
    // The abort is collected with one of two places, and the commit lands after all (AT).
    const merged = await lanes.merge();
    await fixture.remove(merged);
    const second = await lanes.begin({ [A]: { n: 3 }, [C]: { n: 3 } });
    const [place] = second.places;
    await second.abort();
    const passed = await lanes.merge();
    await fixture.remove([second.path, ...passed.filter((path) => path !== second.path)]);
    await second.commit();
    const next = { lane: 0xc0, n: 3 };
    expect(place).toEqual({ lane: 0x3f, n: 3 });
    const recent = { from: next.n, ids: new Map() };
    const intent = { kind: "intent", ...next, nonce: "0".repeat(16), recent } as const;
    await lanes.put({ ...intent, txn: second.path, reads: [], writes: [C] });
    expect(await readers(fixture)).toEqual(all({ [A]: { n: 1 }, [B]: { n: 1 } }));
  });

  test("a number that the listing lacks is read by its name", async () => {
    const fixture = await scene(make);
    const { lanes } = fixture;
    await lanes.write({ [A]: { n: 2 } });
    await lanes.write({ [B]: { n: 1 } });
    const hidden = claimPath({ lane: 0x3f, n: 1 });
    const hiding = (): StorageBackend => withoutListed(fixture.medium.backend(), hidden);
    for (const skipLoad of [false, true]) {
      const store = await fixture.open({ backend: hiding(), readOnly: true, skipLoad });
      expect(sorted(await store.readMany([A, B]))).toEqual({ [A]: { n: 2 }, [B]: { n: 1 } });
    }
  });

  test("one that is gone although no snapshot holds it is reported", async () => {
    const fixture = await scene(make);
    const { lanes, medium } = fixture;
    await lanes.write({ [A]: { n: 2 } });
    await lanes.write({ [B]: { n: 1 } });
    const path = claimPath({ lane: 0x3f, n: 1 });
    await fixture.remove([path]);
    const store = await fixture.open({ readOnly: true });
    expect(sorted(store.entries())).toEqual({ [A]: { n: 1 }, [B]: { n: 1 } });
    const lazy = await fixture.open({ readOnly: true, skipLoad: true });
    expect(await lazy.read(A)).toEqual({ n: 1 });
    expect(fixture.warnings).toHaveLength(2);
    for (const warning of fixture.warnings) expect(warning).toContain(path);
    const strict = fixture.open({ readOnly: true, onCorrupt: "throw" });
    await expect(strict).rejects.toThrow(CorruptionError);
    const { problems } = await verify(medium.location, { backend: medium.backend() });
    expect(problems.map((problem) => problem.path)).toEqual([path]);
  });

  test("one that is merged and deleted while it is read is found in the snapshot", async () => {
    const fixture = await scene(make);
    const { lanes } = fixture;
    await lanes.write({ [A]: { n: 2 } });
    for (const skipLoad of [true, false]) {
      await lanes.write({ [A]: { n: 3 }, [B]: { n: 1 } });
      let isDone = false;
      const overtaken = beforeGet(fixture.medium.backend(), "lane-3f", async () => {
        if (isDone) return;
        isDone = true;
        await fixture.remove(await lanes.merge());
      });
      const store = await fixture.open({ backend: overtaken, readOnly: true, skipLoad });
      expect(sorted(await store.readMany([A, B]))).toEqual({ [A]: { n: 3 }, [B]: { n: 1 } });
      expect(isDone).toBe(true);
    }
  });

  test("creates under one floor have one version, and are told apart by their ids", async () => {
    const fixture = await scene(make);
    const { lanes } = fixture;
    const version = nextRevision(absentAt(0));
    await lanes.write({ [B]: { n: 1 } });
    const store = await fixture.open({ agentId: "follower", skipLoad: true });
    expect(await store.tail()).toEqual([]);
    await lanes.write({ [C]: { n: 1 } });
    // An undo of the first one is none of the other.
    const n = 2;
    const undo = guarded(B, version, undefined, { undoes: version, prev: { n: 1 } });
    await lanes.put(dataClaim({ lane: laneOf(B), n }, [undo]));
    expect((await store.tail()).map(({ op, id }) => [op, id])).toEqual(
      expect.arrayContaining([["set", C]]),
    );
    const eager = await fixture.open({ readOnly: true });
    expect(eager.getHistory(C)).toHaveLength(1);
    expect(eager.getHistory(B)).toHaveLength(0);
    expect(await readers(fixture)).toEqual(all({ [A]: { n: 1 }, [C]: { n: 1 } }));
  });

  test("a follower is told of a guarded write of an old record", async () => {
    const fixture = await scene(make);
    const { lanes } = fixture;
    const writer = await fixture.open({ agentId: "writer" });
    const stores = [
      await fixture.open({ readOnly: true }),
      await fixture.open({ readOnly: true, skipLoad: true }),
    ];
    await writer.set(B, { n: 1 });
    for (const store of stores) await store.tail();
    await lanes.write({ [A]: { n: 2 } });
    const expected = { op: "set", id: A, data: { n: 2 }, agent: "guard" };
    for (const store of stores) {
      expect(await store.tail()).toMatchObject([expected]);
      expect(await store.tail()).toEqual([]);
    }
    // Also where it is in a run already.
    await lanes.write({ [A]: { n: 3 } });
    await fixture.remove(await lanes.merge());
    for (const store of stores) {
      expect(await store.tail()).toMatchObject([{ op: "set", id: A, data: { n: 3 } }]);
      expect(await store.tail()).toEqual([]);
    }
  });

  test("a name of a lane that does not parse prevents a store from opening", async () => {
    const fixture = await scene(make);
    const path = "ops/3/lane-3f/x.jsonl";
    await fixture.backend.put(path, Buffer.from("x"), { ifAbsent: true });
    await expect(fixture.open()).rejects.toThrow(FormatVersionError);
    await fixture.remove([path]);
  });
});

/** R4, by the claims that are read of a lane with many. */
test("a lookup reads the newest claim of the lane, and at most one more", async () => {
  const fixture = await scene(memoryMedium);
  const { lanes } = fixture;
  const ids = Array.from({ length: 8 }, (_, n) => idOf(0x3f, n));
  for (let n = 0; n < 100; n++) await lanes.write({ [ids[n % 7] ?? A]: { n } });
  await lanes.write({ [C]: { n: 1 } });
  const claimsRead = async (
    read: (store: Store<unknown>) => Promise<unknown>,
  ): Promise<string[]> => {
    const { backend, calls } = watchBackend(fixture.medium.backend());
    const store = await fixture.open({ backend, readOnly: true, skipLoad: true });
    await read(store);
    return calls.filter((call) => /^get ops\/.*lane/.test(call)).map((call) => call.slice(8));
  };
  const last = claimPath({ lane: 0x3f, n: 100 }).slice(4);
  expect(await claimsRead((store) => store.read(ids[1] ?? ""))).toEqual([last]);
  const one = await claimsRead((store) => store.read(ids[4] ?? ""));
  expect(one).toEqual([last, claimPath({ lane: 0x3f, n: 96 }).slice(4)]);
  // Of an id that no claim names, each further one tells of 64.
  const none = await claimsRead(async (store) => {
    expect(await store.read(ids[7] ?? "")).toBeUndefined();
  });
  expect(none).toEqual([last, claimPath({ lane: 0x3f, n: 35 }).slice(4)]);
  const many = await claimsRead((store) => store.readMany([...ids, C]));
  expect(many.length).toBeLessThanOrEqual(10);
  expect(await claimsRead((store) => store.read(idOf(0x40)))).toEqual([]);
});

/** WINDOW, with a reader whose view is older than claims are kept. */
test("a stray that took the name of a claim since is not read for it", async () => {
  const fixture = await scene(memoryMedium);
  const { lanes, medium } = fixture;
  await lanes.write({ [A]: { n: 2 } });
  const store = await fixture.open({ readOnly: true, skipLoad: true });
  await fixture.remove(await lanes.merge());
  await medium.pass(120_000);
  const stray = guarded(A, absentAt(2 ** 51), { n: 9 });
  await lanes.put(dataClaim({ lane: 0x3f, n: 1 }, [stray]));
  expect(await store.read(A)).toEqual({ n: 2 });
});

test("within that time the manifest is not read again for it", async () => {
  const fixture = await scene(memoryMedium);
  await fixture.lanes.write({ [A]: { n: 2 } });
  const { backend, calls } = watchBackend(fixture.medium.backend());
  const store = await fixture.open({ backend, readOnly: true, skipLoad: true });
  const opened = calls.length;
  expect(await store.read(A)).toEqual({ n: 2 });
  expect(calls.slice(opened)).not.toContain("get manifest.json");
});

/** S2, with a log of several windows, and a claim that is longer than what is taken of a segment at once. */
test("a stream gives guarded writes of old records in the order of versions", async () => {
  const fixture = await scene(memoryMedium);
  const { lanes } = fixture;
  const store = await fixture.open({ agentId: "plain", checkpointThreshold: 1_000 });
  const ids = Array.from({ length: 100 }, (_, n) => `{tag}${String(n).padStart(3, "0")}`);
  for (const id of ids) await store.set(id, { n: 1 });
  for (const id of [B, C]) await store.set(id, { text: "x".repeat(200_000) });
  await lanes.write(Object.fromEntries(ids.toReversed().map((id) => [id, { n: 2 }])));
  const given: string[] = [];
  for await (const { id } of store.getWalOps()) given.push(id);
  expect(given).toEqual([A, ...ids.flatMap((id) => [id, id]), B, C]);
});

/** FLOOR and RELOAD know nothing of claims. */
test("a claim on a version below the purge floor is live", async () => {
  const fixture = await scene(memoryMedium);
  const { lanes, medium } = fixture;
  const store = await fixture.open({ agentId: "other" });
  await store.compact();
  await medium.pass(100_000_000);
  await store.set(B, { n: 1 });
  await store.compact();
  await medium.pass(100_000_000);
  await store.set(B, { n: 2 });
  await store.compact();
  await lanes.write({ [A]: { n: 2 } });
  expect(await readers(fixture)).toEqual(all({ [A]: { n: 2 }, [B]: { n: 2 } }));
});

/** The listing of a backend without one name. */
function withoutListed(inner: StorageBackend, hidden: string): StorageBackend {
  return replaced(inner, "list", async function* (...args: Parameters<StorageBackend["list"]>) {
    for await (const page of inner.list(...args)) {
      yield { ...page, objects: page.objects.filter(({ path }) => path !== hidden) };
    }
  });
}

/** @param work done before each read of such a path */
function beforeGet(inner: StorageBackend, part: string, work: () => Promise<void>): StorageBackend {
  return replaced(inner, "get", async (...args: Parameters<StorageBackend["get"]>) => {
    if (args[0].includes(part)) await work();
    return inner.get(...args);
  });
}

function replaced(inner: StorageBackend, name: keyof StorageBackend, by: unknown): StorageBackend {
  return new Proxy(inner, {
    get: (target, property): unknown => {
      if (property === name) return by;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
