/** A flush that fails: memory goes back, the store stays usable, nothing is silent. */
import { expect, test } from "vitest";
import { UnavailableError, WriteOutcomeUnknownError } from "../../../src/core/errors.ts";
import { type MakeMedium, setUp } from "../fixture.ts";
import { watchBackend } from "../watched-backend.ts";

export function failedWriteCases(make: MakeMedium): void {
  test("when nothing was written, every waiting write rejects and memory is as before", async () => {
    const { medium, open, entries } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const store = await open({ backend: watched.backend });
    await store.set("kept", 1);
    await store.set("gone", 1);
    watched.failing = { error: () => new UnavailableError("no room"), landing: false };
    const writes = [
      store.set("kept", 2),
      store.set("new", 1),
      store.delete("gone"),
      store.batch(() => void store.set("batched", 1)),
    ];
    await Promise.resolve();
    expect(store.entries()).toEqual([
      ["kept", 2],
      ["new", 1],
      ["batched", 1],
    ]);
    const flushed = store.flush();
    for (const write of [...writes, flushed]) {
      await expect(write).rejects.toThrow(new UnavailableError("no room"));
    }
    expect(new Map(store.entries())).toEqual(
      new Map([
        ["kept", 1],
        ["gone", 1],
      ]),
    );
    watched.failing = undefined;
    await store.flush();
    await store.set("new", 3);
    expect(new Map(await entries())).toEqual(
      new Map([
        ["kept", 1],
        ["gone", 1],
        ["new", 3],
      ]),
    );
  });

  test("what was queued behind a flush that fails was built on it, and fails with it", async () => {
    const { medium, open, entries } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const store = await open({ backend: watched.backend });
    await store.set("a", 1);
    const outcomes: Promise<unknown>[] = [];
    watched.failing = { error: () => new UnavailableError("no room"), landing: false };
    watched.delay = async () => {
      watched.delay = undefined;
      watched.failing = undefined;
      outcomes.push(store.set("a", 3).catch(String), store.set("b", 1).catch(String));
    };
    await expect(store.set("a", 2)).rejects.toThrow("no room");
    expect(await Promise.all(outcomes)).toEqual(Array(2).fill("UnavailableError: no room"));
    expect(store.entries()).toEqual([["a", 1]]);
    await store.flush();
    expect(await entries()).toEqual([["a", 1]]);
  });

  test("when it may have taken effect, the call rejects, and the next call looks first", async () => {
    const { medium, open, entries } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const store = await open({ backend: watched.backend });
    await store.set("a", 1);
    const error = (): Error => new WriteOutcomeUnknownError("the answer was lost");
    watched.failing = { error, landing: true };
    await expect(store.set("landed", 1)).rejects.toThrow(WriteOutcomeUnknownError);
    expect(store.has("landed")).toBe(false);
    watched.failing = undefined;
    expect(await store.read("landed")).toBe(1);
    watched.failing = { error, landing: true };
    await expect(store.set("landed too", 1)).rejects.toThrow(WriteOutcomeUnknownError);
    watched.failing = undefined;
    await store.delete("landed too");
    await store.update("a", (current) => [current, "again"]);
    const expected = new Map<string, unknown>([
      ["a", [1, "again"]],
      ["landed", 1],
    ]);
    expect(new Map(store.entries())).toEqual(expected);
    expect(new Map(await entries())).toEqual(expected);
  });

  test("what is written after a failure orders above what landed all the same", async () => {
    const { medium, open, lookUp } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const store = await open({ backend: watched.backend, skipLoad: true, blindWrites: true });
    const error = (): Error => new WriteOutcomeUnknownError("the answer was lost");
    watched.failing = { error, landing: true };
    await expect(store.set("a", "landed")).rejects.toThrow(WriteOutcomeUnknownError);
    watched.failing = undefined;
    await store.set("a", "later");
    expect(await lookUp(["a"])).toEqual(new Map([["a", "later"]]));
    await store.compact();
    expect(await lookUp(["a"])).toEqual(new Map([["a", "later"]]));
  });

  test("a flush that a purge may ignore already, so late it came, counts as unknown", async () => {
    const { medium, open } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const settings = { writerLagMs: 3_000, tombstoneGraceMs: 6_000 };
    const store = await open({ backend: watched.backend, agentId: "slow", ...settings });
    watched.delay = () => medium.pass(5_000);
    const late = store.set("a", 1);
    await expect(late).rejects.toThrow(WriteOutcomeUnknownError);
    await expect(late).rejects.toThrow(
      /written \d+ ms after this store last looked, at most 3000 ms/,
    );
    expect(store.has("a")).toBe(false);
    watched.delay = undefined;
    await store.set("b", 1);
    expect(await store.read("a"), "it had landed, and nothing was purged yet").toBe(1);
  });

  test("close rejects with a failure that it was waiting for, and closes all the same", async () => {
    const { medium, open } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const store = await open({ backend: watched.backend });
    watched.failing = { error: () => new UnavailableError("no room"), landing: false };
    const write = store.set("a", 1);
    const closed = store.close();
    await expect(write).rejects.toThrow(UnavailableError);
    await expect(closed).rejects.toThrow(UnavailableError);
    const next = await open();
    expect(next.count()).toBe(0);
    watched.failing = undefined;
    // The failure is told once.
    await store.close();
    await store.open(medium.location, { backend: medium.backend(), agentId: "again" });
  });
}
