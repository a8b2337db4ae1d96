/** One single writer at a time. */
import { expect, test } from "vitest";
import { LockedError, UnavailableError } from "../../../src/core/errors.ts";
import type { Runtime } from "../../../src/core/runtime.ts";
import { Store } from "../../../src/store/store.ts";
import { type Medium, type MakeMedium, setUp } from "../fixture.ts";
import { watchBackend } from "../watched-backend.ts";

/** A process that was killed or frozen: it renews no lease. */
function frozen({ runtime }: Medium): Runtime {
  return { ...runtime, idle: (_, signal) => new Promise((end) => onAbort(signal, end)) };
}

function onAbort(signal: AbortSignal | undefined, end: () => void): void {
  signal?.addEventListener("abort", end, { once: true });
}

export function lockCases(make: MakeMedium): void {
  test("a second single writer is refused, also lazily, until the first is closed", async () => {
    const { medium, open } = await setUp(make);
    const first = await open();
    const message =
      medium.name === "directory"
        ? /^Store is locked by another store of this process \(.*\.lock\): close that one$/
        : /^Store is locked by another agent\. Lock key: writer\.lease\b/;
    for (const skipLoad of [false, true]) {
      const opening = open({ skipLoad });
      await expect(opening).rejects.toThrow(LockedError);
      await expect(opening).rejects.toThrow(message);
    }
    await first.set("a", 1);
    await first.close();
    const second = await open();
    expect(second.entries()).toEqual([["a", 1]]);
  });

  test("of ten that open at once one writes", async () => {
    const { open } = await setUp(make);
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => open()));
    const refused = outcomes.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    expect(refused).toHaveLength(9);
    for (const reason of refused) expect(reason).toBeInstanceOf(LockedError);
  });

  test("a store that could not be opened leaves no lock behind", async () => {
    const { open } = await setUp(make);
    const newer = await open({ version: 2 });
    await newer.set("a", 1);
    await newer.close();
    await expect(open({ version: 1 })).rejects.toMatchObject({ code: "SCHEMA_TOO_NEW" });
    const next = await open({ version: 2 });
    expect(next.count()).toBe(1);
  });

  test("the lease of a dead writer ends by its age, and the dead one writes no more", async () => {
    const { medium, open, entries } = await setUp(make);
    if (medium.name === "directory") return; // its lock names a process: see crash.test.ts
    const leaseTtlMs = 3_000;
    const dead = new Store<unknown>({ runtime: frozen(medium) });
    await dead.open(medium.location, { backend: medium.backend(), leaseTtlMs });
    await dead.set("a", 1);
    await expect(open({ leaseTtlMs })).rejects.toThrow(LockedError);
    await medium.pass(leaseTtlMs + 2_000);
    const next = await open({ leaseTtlMs, checkpointOnClose: false });
    await next.set("b", 2);
    expect(await entries()).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
    await expect(dead.set("late", 1)).rejects.toThrow("another writer took over");
    await expect(dead.set("late", 1)).rejects.toThrow(LockedError);
    expect(dead.has("late")).toBe(false);
    await dead.close();
    await next.set("c", 3);
    expect((await entries()).length).toBe(3);
  });

  test("a writer frozen in the middle of a flush loses nothing, nor does who took over", async () => {
    const { medium, open, entries } = await setUp(make);
    if (medium.name === "directory") return; // a frozen process keeps its lock there
    const leaseTtlMs = 3_000;
    const slow = watchBackend(medium.backend());
    const first = new Store<unknown>({ runtime: frozen(medium) });
    await first.open(medium.location, { backend: slow.backend, leaseTtlMs });
    let next: Store<unknown> | undefined;
    slow.delay = async () => {
      slow.delay = undefined;
      await medium.pass(leaseTtlMs + 2_000);
      next = await open({ leaseTtlMs, checkpointOnClose: false });
      await next.set("theirs", 1);
    };
    await first.set("mine", 1);
    expect(new Map(await entries())).toEqual(
      new Map([
        ["mine", 1],
        ["theirs", 1],
      ]),
    );
    await expect(first.set("more", 1), "now it can know").rejects.toThrow(LockedError);
    await next?.set("theirs", 2);
    await next?.refresh();
    expect(new Map(next?.entries())).toEqual(
      new Map([
        ["mine", 1],
        ["theirs", 2],
      ]),
    );
    await first.close();
  });

  test("an outage that no other writer used costs no reopening", async () => {
    const { medium, open, entries } = await setUp(make);
    if (medium.name === "directory") return;
    const leaseTtlMs = 3_000;
    const backend = medium.backend();
    const put = backend.put.bind(backend);
    const store = new Store<unknown>({ runtime: frozen(medium) });
    const own = new Proxy(backend, {
      get: (_, name) => {
        const value: unknown = Reflect.get(backend, name, backend);
        if (name === "put") return (...args: Parameters<typeof put>) => down ?? put(...args);
        return typeof value === "function" ? value.bind(backend) : value;
      },
    });
    let down: Promise<never> | undefined;
    await store.open(medium.location, { backend: own, leaseTtlMs, checkpointOnClose: false });
    await store.set("a", 1);
    down = Promise.reject(new UnavailableError("down"));
    down.catch(() => undefined);
    await medium.pass(leaseTtlMs + 2_000);
    await expect(store.set("a", 2)).rejects.toThrow(UnavailableError);
    await expect(store.set("a", 2)).rejects.toThrow("writer.lease could not be renewed");
    expect([store.get("a"), await entries()]).toEqual([1, [["a", 1]]]);
    down = undefined;
    await store.set("a", 3);
    await expect(open({ leaseTtlMs }), "it holds its lease again").rejects.toThrow(LockedError);
    expect(await entries()).toEqual([["a", 3]]);
    await store.close();
  });
}
