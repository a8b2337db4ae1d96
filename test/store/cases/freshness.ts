/** Freshness, declared: what each kind sees, what it does not see, and what it asks for. */
import { expect, test } from "vitest";
import { InvalidArgumentError } from "../../../src/core/errors.ts";
import { compact } from "../../../src/compaction/compact.ts";
import type { StoreOptions } from "../../../src/session/options.ts";
import type { ReadOptions } from "../../../src/store/reads.ts";
import type { Store } from "../../../src/store/store.ts";
import { type Fixture, type MakeMedium, setUp, timeless } from "../fixture.ts";
import { taken } from "../streamed.ts";
import { type Watched, watchBackend } from "../watched-backend.ts";

/** No test takes so long. */
const YOUNG = { maxStaleMs: 600_000 };
const READER = { readOnly: true, skipLoad: true } as const;

interface Scene extends Fixture {
  /** Another process. */
  readonly other: Store<unknown>;
  /** The process whose requests are counted. */
  readonly watched: Watched;
  here(options: StoreOptions<unknown>): Promise<Store<unknown>>;
  compact(): Promise<unknown>;
}

/** A record that is compacted, one in the log. */
async function scene(make: MakeMedium): Promise<Scene> {
  const fixture = await setUp(make);
  const { medium, open } = fixture;
  const elsewhere = watchBackend(medium.backend()).backend;
  const pass = (): Promise<unknown> => compact(medium.location, { backend: elsewhere });
  const other = await open({ agentId: "other", backend: elsewhere, checkpointOnClose: false });
  await other.set("compacted", 1);
  await pass();
  await other.set("logged", 1);
  const watched = watchBackend(medium.backend());
  const here = (options: StoreOptions<unknown>): Promise<Store<unknown>> =>
    open({ backend: watched.backend, checkpointOnClose: false, ...options });
  return { ...fixture, other, watched, here, compact: pass };
}

/** What was asked for since the last call: looks at the store, and data. */
function asked({ calls }: Watched): string[] {
  return calls.splice(0).filter((call) => /^(get|list) /.test(call));
}

function isLook(call: string): boolean {
  return call === "get manifest.json" || call.startsWith("list ");
}

export function freshnessCases(make: MakeMedium): void {
  test("strong: an opening and a refresh see all there is; a read only if it says so", async () => {
    const { other, here } = await scene(make);
    for (const skipLoad of [true, false]) {
      const store = await here({ readOnly: true, skipLoad });
      expect(await store.read("logged")).toBe(await other.read("logged"));
      await other.set("logged", `new ${skipLoad}`);
      await other.set("later", skipLoad);
      expect(await store.read("logged")).not.toBe(`new ${skipLoad}`);
      expect(await store.read("logged", { freshness: "strong" })).toBe(`new ${skipLoad}`);
      expect(await store.readMany(["later"], { freshness: "strong" })).toEqual(
        new Map([["later", skipLoad]]),
      );
      await other.set("later", `newer ${skipLoad}`);
      expect(new Map(await taken(store.scan())).get("later")).toBe(skipLoad);
      const scanned = new Map(await taken(store.scan({ freshness: "strong" })));
      expect(scanned.get("later")).toBe(`newer ${skipLoad}`);
    }
  });

  test("maxStaleMs: no request while the process has looked so lately, and no newer write", async () => {
    const { other, watched, here, medium } = await scene(make);
    const first = await here({ ...READER, freshness: YOUNG });
    expect(asked(watched).some(isLook), "nothing is warm yet").toBe(true);
    expect(await first.read("logged")).toBe(1);
    await other.set("logged", 2);
    asked(watched);
    const second = await here({ ...READER, freshness: YOUNG });
    expect(asked(watched)).toEqual([]);
    expect(await second.read("logged"), "as of the look that is shared").toBe(1);
    expect(asked(watched).filter(isLook)).toEqual([]);
    await medium.pass(1_000);
    expect(await second.read("logged", { freshness: { maxStaleMs: 500 } })).toBe(2);
    const third = await here({ ...READER, freshness: YOUNG });
    expect(await third.read("logged"), "that look is shared as well").toBe(2);
    const strong = await here(READER);
    await other.set("logged", 3);
    expect(await strong.read("logged")).toBe(2);
    expect(await strong.read("logged", { freshness: YOUNG }), "young enough").toBe(2);
  });

  test("maxStaleMs: a store that stays open looks again by itself", async () => {
    const { other, here, medium } = await scene(make);
    const store = await here({ ...READER, freshness: { maxStaleMs: 500 } });
    expect(await store.read("logged")).toBe(1);
    await other.set("logged", 2);
    await medium.pass(1_000);
    expect(await store.read("logged")).toBe(2);
    await other.set("logged", 3);
    await store.refresh();
    expect(store.get("logged"), "a refresh is always a look").toBe(3);
  });

  test("snapshot: what is compacted, never a LIST, one GET at most", async () => {
    const { other, watched, here, compact: pass } = await scene(make);
    const store = await here({ ...READER, freshness: "snapshot" });
    expect(asked(watched)).toEqual(["get manifest.json"]);
    expect(await store.readMany(["compacted", "logged"])).toEqual(new Map([["compacted", 1]]));
    expect([store.stats().opsCount, store.getOps()]).toEqual([0, []]);
    asked(watched);
    const warm = await here({ ...READER, freshness: "snapshot" });
    expect(asked(watched)).toEqual([]);
    await pass();
    expect(await warm.read("logged"), "as of the manifest that is shared").toBeUndefined();
    asked(watched);
    await warm.refresh();
    expect(asked(watched).filter(isLook)).toEqual(["get manifest.json"]);
    expect(await warm.read("logged")).toBe(1);
    await other.set("compacted", 2);
    await warm.refresh();
    expect(await warm.read("compacted")).toBe(1);
    const eager = await here({ readOnly: true, freshness: "snapshot" });
    expect(new Map(eager.entries())).toEqual(
      new Map([
        ["compacted", 1],
        ["logged", 1],
      ]),
    );
    expect(asked(watched).filter((call) => call.startsWith("list "))).toEqual([]);
    expect(await warm.read("compacted", { freshness: "strong" })).toBe(2);
  });

  test("snapshot: the manifest is at most refreshEveryMs old", async () => {
    const { watched, here, compact: pass, medium } = await scene(make);
    const options = { ...READER, freshness: "snapshot", refreshEveryMs: 500 } as const;
    const store = await here(options);
    expect(await store.read("logged")).toBeUndefined();
    await pass();
    await medium.pass(1_000);
    asked(watched);
    const another = await here(options);
    expect(asked(watched)).toEqual(["get manifest.json"]);
    for (const one of [store, another]) expect(await one.read("logged")).toBe(1);
    expect(asked(watched).filter((call) => call.startsWith("list "))).toEqual([]);
  });

  test("snapshot: a store that was never compacted exists, and shows nothing", async () => {
    const { medium, open } = await setUp(make);
    const writer = await open({ agentId: "w", skipLoad: true, blindWrites: true });
    await writer.set("a", 1);
    const { backend } = watchBackend(medium.backend());
    const store = await open({ ...READER, backend, freshness: "snapshot" });
    expect(await store.read("a")).toBeUndefined();
    expect(await store.read("a", { freshness: "strong" })).toBe(1);
  });

  const stale: readonly StoreOptions<unknown>[] = [
    { freshness: YOUNG, skipLoad: true },
    { freshness: YOUNG, skipLoad: true, blindWrites: true },
    { freshness: YOUNG },
    { freshness: "snapshot", skipLoad: true },
    { freshness: "snapshot", skipLoad: true, blindWrites: true },
    { freshness: "snapshot" },
  ];
  test.each(stale)(
    "what a stale store writes orders above all it did not see: %o",
    async (given) => {
      const { medium, other, openCounting, entries, lookUp } = await scene(make);
      // It has no time: only a look tells how far the clocks of others are.
      const backend = timeless(watchBackend(medium.backend()).backend);
      await (await openCounting({ ...READER, backend })).close();
      // Clocks go on while nobody here looks.
      for (let n = 2; n < 6; n++) await other.set("logged", n);
      await other.set("only there", 1);
      const store = await openCounting({ agentId: "here", backend, ...given });
      await store.set("logged", "mine");
      expect(await store.read("logged")).toBe("mine");
      expect(await lookUp(["logged"])).toEqual(new Map([["logged", "mine"]]));
      expect(new Map(await entries()).get("logged")).toBe("mine");
      await store.delete("only there");
      expect(await lookUp(["only there"])).toEqual(new Map());
    },
  );

  test.each(stale)("update changes what is there, not what was seen: %o", async (given) => {
    const { other, here, lookUp } = await scene(make);
    await (await here(READER)).close();
    await other.set("logged", 41);
    const store = await here({ agentId: "here", ...given });
    await store.update("logged", (current) => (typeof current === "number" ? current + 1 : 0));
    expect(await lookUp(["logged"])).toEqual(new Map([["logged", 42]]));
  });

  test("anything else is refused", async () => {
    const { open } = await setUp(make);
    const wrong: unknown[] = ["weak", {}, { maxStaleMs: -1 }, { maxStaleMs: "1" }, null, 5];
    const store = await open({ agentId: "w" });
    for (const freshness of wrong) {
      const options = { freshness } as ReadOptions;
      await expect(open({ agentId: "x", ...options })).rejects.toThrow(InvalidArgumentError);
      await expect(store.read("a", options)).rejects.toThrow(InvalidArgumentError);
      const scan = store.scan(options);
      await expect(scan.next()).rejects.toThrow(InvalidArgumentError);
    }
  });
}
