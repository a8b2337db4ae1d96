/** Group and async mode: what is buffered, when it is flushed, and who is told when that fails. */
import { expect, test } from "vitest";
import { InvalidArgumentError, UnavailableError } from "../../../src/core/errors.ts";
import { type MakeMedium, setUp } from "../fixture.ts";
import { type Watched, watchBackend } from "../watched-backend.ts";

const MODES = ["group", "async"] as const;
/** No flush by time within a test. */
const LATER_MS = 1_000_000;

/** Resolves when the next write to the log begins. */
function nextLogWrite(watched: Watched): Promise<void> {
  return new Promise((resolve) => {
    watched.delay = async () => resolve();
  });
}

export function writeModeCases(make: MakeMedium): void {
  test.each(MODES)("%s: a write resolves once buffered; the buffer is one flush", async (mode) => {
    const { open, flushes, lookUp } = await setUp(make);
    const store = await open({
      writeMode: mode,
      groupCommitMs: LATER_MS,
      checkpointOnClose: false,
    });
    for (let n = 0; n < 49; n++) await store.set(`r${n}`, n);
    expect(await flushes()).toBe(0);
    expect(store.count()).toBe(49);
    expect(store.stats().opsCount).toBe(49);
    await store.flush();
    expect(await flushes()).toBe(1);
    expect((await lookUp(["r0", "r48"])).get("r48")).toBe(48);
    await store.flush();
    expect(await flushes()).toBe(1);
  });

  test("group: the write that fills the buffer waits for the flush", async () => {
    const { open, flushes } = await setUp(make);
    const options = { groupCommitSize: 3, groupCommitMs: LATER_MS, checkpointOnClose: false };
    const store = await open({ writeMode: "group", ...options });
    await store.set("a", 1);
    await store.set("b", 2);
    expect(await flushes()).toBe(0);
    await store.delete("a");
    expect(await flushes()).toBe(1);
    await store.batch(() => {
      for (const id of ["c", "d", "e"]) void store.set(id, 3);
    });
    expect(await flushes()).toBe(2);
  });

  test("async: the write that fills the buffer starts the flush and does not wait", async () => {
    const { medium, open } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const options = { groupCommitSize: 2, groupCommitMs: LATER_MS, checkpointOnClose: false };
    const store = await open({ backend: watched.backend, writeMode: "async", ...options });
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    watched.delay = () => held;
    await store.set("a", 1);
    await store.set("b", 2);
    await store.set("c", 3);
    release();
    await store.sync();
    expect(store.all()).toEqual([1, 2, 3]);
  });

  test.each(MODES)("%s: what is buffered is flushed after groupCommitMs", async (mode) => {
    const { medium, open, lookUp } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const options = { groupCommitMs: 20, checkpointOnClose: false };
    const store = await open({ backend: watched.backend, writeMode: mode, ...options });
    const written = nextLogWrite(watched);
    await store.set("a", 1);
    await written;
    await store.flush();
    expect((await lookUp(["a"])).get("a")).toBe(1);
  });

  test.each(MODES)("%s: close flushes", async (mode) => {
    const { open, entries } = await setUp(make);
    const store = await open({ writeMode: mode, groupCommitMs: LATER_MS });
    await store.set("a", 1);
    await store.close();
    expect(await entries()).toEqual([["a", 1]]);
  });

  test.each(MODES)(
    "%s: a failed flush is reported to the next call, and memory follows",
    async (mode) => {
      const { medium, open, entries } = await setUp(make);
      const watched = watchBackend(medium.backend());
      const options = { groupCommitMs: LATER_MS, checkpointOnClose: false };
      const store = await open({ backend: watched.backend, writeMode: mode, ...options });
      const failure = new UnavailableError("no room");
      const next = [
        () => store.set("next", 1),
        () => store.delete("kept"),
        () => store.batch(() => void store.set("next", 1)),
        () => store.flush(),
        () => store.sync(),
      ];
      await store.set("kept", 0);
      await store.flush();
      for (const call of next) {
        watched.failing = { error: () => failure, landing: false };
        await store.set("lost", 1);
        expect(store.has("lost")).toBe(true);
        await expect(store.compact()).rejects.toThrow(failure);
        expect(store.has("lost")).toBe(false);
        await store.set("lost", 2);
        const flushed = nextLogWrite(watched);
        // Filling the buffer starts a flush in the background in both modes.
        const filling = Array.from({ length: 48 }, (_, n) => store.set(`f${n}`, n));
        const last = store.set("last", 1).catch(() => undefined);
        await Promise.all([...filling, flushed, last]);
        watched.delay = undefined;
        // Rolled back: the flush has failed.
        while (store.has("lost")) await new Promise((resolve) => setImmediate(resolve));
        await expect(call()).rejects.toThrow(failure);
        watched.failing = undefined;
        expect(store.entries()).toEqual([["kept", 0]]);
        await store.flush();
      }
      await store.set("after", 1);
      await store.close();
      expect(await entries()).toEqual([
        ["kept", 0],
        ["after", 1],
      ]);
    },
  );

  test.each(MODES)(
    "%s: close rejects with a failed flush, and releases the store",
    async (mode) => {
      const { medium, open, entries } = await setUp(make);
      const watched = watchBackend(medium.backend());
      const options = { groupCommitMs: LATER_MS, checkpointOnClose: false };
      const store = await open({ backend: watched.backend, writeMode: mode, ...options });
      const failure = new UnavailableError("no room");
      await store.set("lost", 1);
      watched.failing = { error: () => failure, landing: false };
      await expect(store.close()).rejects.toThrow(failure);
      watched.failing = undefined;
      const again = await open({ checkpointOnClose: false });
      expect(again.all()).toEqual([]);
      await again.set("a", 1);
      expect(await entries()).toEqual([["a", 1]]);
    },
  );

  test("async: the write that is due for a checkpoint does not wait for it", async () => {
    const { medium, open, entries } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const options = { groupCommitMs: LATER_MS, checkpointThreshold: 3 };
    const store = await open({ backend: watched.backend, writeMode: "async", ...options });
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    watched.delay = () => held;
    for (let n = 0; n < 5; n++) await store.set(`r${n}`, n);
    expect(store.stats().opsCount).toBe(5);
    release();
    await store.close();
    expect(await entries()).toHaveLength(5);
  });

  test("async: after a checkpoint that cannot flush, the next call rejects", async () => {
    const { medium, open } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const options = { groupCommitMs: LATER_MS, checkpointThreshold: 2, checkpointOnClose: false };
    const store = await open({ backend: watched.backend, writeMode: "async", ...options });
    const failure = new UnavailableError("no room");
    watched.failing = { error: () => failure, landing: false };
    await store.set("a", 1);
    await store.set("b", 2);
    while (store.has("a")) await new Promise((resolve) => setImmediate(resolve));
    await expect(store.set("c", 3)).rejects.toThrow(failure);
    watched.failing = undefined;
    expect(store.count()).toBe(0);
  });

  test("group: a checkpoint flushes first, and counts what is buffered", async () => {
    const { open, entries, flushes } = await setUp(make);
    const options = { groupCommitMs: LATER_MS, checkpointThreshold: 5 };
    const store = await open({ writeMode: "group", ...options });
    for (let n = 0; n < 5; n++) await store.set(`r${n}`, n);
    expect(store.stats().opsCount).toBe(0);
    expect(await flushes()).toBe(0);
    expect(await entries()).toHaveLength(5);
  });

  test("0 and undefined are the defaults of size and time; nonsense is refused", async () => {
    const { medium, open, flushes } = await setUp(make);
    const defaults = { groupCommitSize: 0, groupCommitMs: 0, checkpointOnClose: false };
    const store = await open({ writeMode: "group", ...defaults });
    const written = Array.from({ length: 50 }, (_, n) => store.set(`r${n}`, n));
    await Promise.all(written);
    expect(await flushes()).toBe(1);
    await store.close();
    for (const wrong of [{ groupCommitSize: -1 }, { groupCommitMs: 1.5 }]) {
      const opening = open({ backend: medium.backend(), ...wrong });
      await expect(opening).rejects.toThrow(InvalidArgumentError);
    }
  });

  test("a batch above the limit is refused at once, in every mode", async () => {
    const { open } = await setUp(make);
    const store = await open({ writeMode: "async", groupCommitMs: LATER_MS });
    const half = "x".repeat(33 * 1024 * 1024);
    const batch = store.batch(() => {
      void store.set("a", half);
      void store.set("b", half);
    });
    await expect(batch).rejects.toThrow(InvalidArgumentError);
    expect(store.count()).toBe(0);
    await store.flush();
  });

  test("async: above 64 MiB of what is not durable, a write waits (back-pressure)", async () => {
    const { medium, open } = await setUp(make);
    const watched = watchBackend(medium.backend());
    const options = { groupCommitMs: LATER_MS, checkpointOnClose: false };
    const store = await open({ backend: watched.backend, writeMode: "async", ...options });
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    watched.delay = () => held;
    const text = "x".repeat(8 * 1024 * 1024);
    for (let n = 0; n < 7; n++) await store.set(`r${n}`, text);
    const flushed = store.flush();
    let resolved = false;
    const waiting = store.set("one too much", text).then(() => (resolved = true));
    // A write that does not wait resolves before any I/O.
    await new Promise((next) => setImmediate(next));
    expect([store.count(), resolved]).toEqual([8, false]);
    release();
    await Promise.all([waiting, flushed]);
    await store.set("small", 1);
    expect(store.count()).toBe(9);
  });
}
